"""The Bot: what its smoke test asks for, as load: the front page, the API's health and the sign-in."""

from locust import FastHttpUser, between, task


class Student(FastHttpUser):
    wait_time = between(1, 3)

    @task(5)
    def open_the_front_page(self):
        self.client.get("/")

    @task(3)
    def ask_who_i_am(self):
        """Nobody signed in here: being refused is the right answer, and it has been to the database for it."""
        with self.client.get("/api/v1/users/me/", catch_response=True) as answer:
            if answer.status_code in (401, 403):
                answer.success()
            else:
                answer.failure(f"status {answer.status_code} for somebody who is not signed in")

    @task(2)
    def state_of_the_sign_in(self):
        self.client.get("/api/v1/auth/status/")

    @task(2)
    def health(self):
        self.client.get("/api/health/")

    @task(1)
    def readiness(self):
        self.client.get("/api/system/readiness/")
