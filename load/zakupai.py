"""ZakupAI: what its gateway and the four services behind it are asked for, through the gateway."""

from locust import FastHttpUser, between, task


class Buyer(FastHttpUser):
    wait_time = between(1, 3)

    @task(6)
    def health_of_the_gateway(self):
        self.client.get("/health")

    @task(1)
    def health_of_a_service(self):
        """Each service by its own path, and all of them as one endpoint in the results."""
        for service in ("calc", "risk", "doc", "billing"):
            self.client.get(f"/{service}/health", name="/{service}/health")
