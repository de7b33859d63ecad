"""Potter: readers of what is mostly cached, for the latency percentiles that its guide asks to watch."""

from itertools import cycle

from locust import FastHttpUser, between, task

PAGES = cycle(range(1, 101))


class Reader(FastHttpUser):
    wait_time = between(1, 3)

    @task(9)
    def read(self):
        self.client.get(f"/api/v1/items?page={next(PAGES)}", name="/api/v1/items?page={page}")

    @task(1)
    def health(self):
        self.client.get("/health")
