"""Zenzefi: people who look at their tokens and at their balance.

Each signs up under a name of its own. An answer that gives no token stops that user at once: one who goes on without
would only measure how fast requests are refused.
"""

import secrets

from locust import FastHttpUser, between, task


class TokenHolder(FastHttpUser):
    wait_time = between(1, 3)  # in a closed model; where arrivals are declared, those decide

    def on_start(self):
        name = f"loadtest_{secrets.token_hex(8)}"
        account = {"email": f"{name}@example.com", "password": secrets.token_urlsafe(16)}
        self.client.post("/api/v1/auth/register", json={**account, "username": name}).raise_for_status()
        answer = self.client.post("/api/v1/auth/login", json=account)
        answer.raise_for_status()
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    @task(10)
    def list_tokens(self):
        self.client.get("/api/v1/tokens/my-tokens", headers=self.headers)

    @task(5)
    def look_at_the_balance(self):
        self.client.get("/api/v1/currency/balance", headers=self.headers)

    @task(2)
    def health(self):
        self.client.get("/health")
