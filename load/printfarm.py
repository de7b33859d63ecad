"""PrintFarm: the dashboard that is open on a screen all day, and the load balancer that asks beside it."""

from locust import FastHttpUser, between, task


class Operator(FastHttpUser):
    wait_time = between(2, 5)

    @task(5)
    def look_at_the_dashboard(self):
        with self.client.get("/api/v1/monitoring/dashboard/", catch_response=True) as answer:
            if not isinstance(answer.js, dict):
                answer.failure("the dashboard is no JSON object")

    @task(2)
    def health(self):
        self.client.get("/api/v1/monitoring/health/")

    @task(1)
    def detailed_health(self):
        self.client.get("/api/v1/monitoring/health/detailed/")
