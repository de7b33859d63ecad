"""A server on loopback that tells of one repository what GitHub would, in the shapes of its REST documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.web import reply, web_server

SHA = "7638417db6d59f3c431d3e1f261cc637155684cd"
TOKEN = "for-the-tests-alone"
_FILTERS = {"branch": "head_branch", "event": "event", "head_sha": "head_sha"}


def ago(**past: float) -> str:
    return (datetime.now(UTC) - timedelta(**past)).strftime("%Y-%m-%dT%H:%M:%SZ")


def run(number: int, conclusion: str | None = "success", **other: Any) -> dict[str, Any]:
    told = {
        "id": number,
        "name": "CI",
        "head_branch": "main",
        "head_sha": SHA,
        "event": "push",
        "status": "completed" if conclusion else "in_progress",
        "conclusion": conclusion,
        "run_attempt": 1,
        "html_url": f"https://github.com/acme/shop/actions/runs/{number}",
        "created_at": ago(hours=2),
        "run_started_at": ago(hours=2),
        "updated_at": ago(hours=2, minutes=-20),
    }
    return told | other


def job(number: int, name: str, conclusion: str | None = "success", minutes: float = 5) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "status": "completed" if conclusion else "in_progress",
        "conclusion": conclusion,
        "started_at": ago(hours=2),
        "completed_at": ago(hours=2, minutes=-minutes) if conclusion else None,
    }


def pages() -> dict[str, Any]:
    """By path below the repository, what a sound one has."""
    reviewer = {"type": "User", "reviewer": {"login": "mona", "id": 1}}
    return {
        "": {"full_name": "acme/shop", "private": True, "default_branch": "main"},
        "/actions/workflows/ci.yml/runs": {"workflow_runs": [run(3), run(2), run(1)]},
        "/actions/runs/3/jobs": {
            "jobs": [
                job(31, "test (3.11)"),
                job(32, "test (3.12)", minutes=9),
                job(33, "build"),
                job(34, "rollback", "skipped", 0),
            ]
        },
        "/actions/runs/2/jobs": {"jobs": [job(21, "test (3.11)"), job(24, "rollback", "skipped", 0)]},
        "/actions/runs/1/jobs": {"jobs": [job(11, "test (3.11)"), job(14, "rollback", "skipped", 0)]},
        "/actions/runs/3/artifacts": {
            "artifacts": [{"name": "test-log", "expired": False, "size_in_bytes": 512, "created_at": ago(hours=2)}]
        },
        **{f"/actions/jobs/{number}/logs": "Run docker login -p ***\nLogin Succeeded\n" for number in (31, 32, 33)},
        "/branches/main": {"name": "main", "protected": True, "commit": {"sha": SHA}},
        "/branches/main/protection": {
            "required_status_checks": {"strict": True, "contexts": ["test"], "checks": [{"context": "test"}]},
            "required_pull_request_reviews": {
                "required_approving_review_count": 1,
                "dismiss_stale_reviews": True,
                "require_code_owner_reviews": True,
            },
            "enforce_admins": {"enabled": True},
            "allow_force_pushes": {"enabled": False},
            "allow_deletions": {"enabled": False},
        },
        "/rules/branches/main": [
            {"type": "pull_request", "parameters": {"required_approving_review_count": 2}},
            {
                "type": "required_status_checks",
                "parameters": {
                    "required_status_checks": [{"context": "build"}],
                    "strict_required_status_checks_policy": False,
                },
            },
        ],
        "/environments": {
            "environments": [
                {
                    "name": "production",
                    "can_admins_bypass": False,
                    "protection_rules": [
                        {"type": "required_reviewers", "prevent_self_review": True, "reviewers": [reviewer]},
                        {"type": "wait_timer", "wait_timer": 10},
                        {"type": "branch_policy"},
                    ],
                    "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
                }
            ]
        },
        "/environments/production/deployment-branch-policies": {
            "branch_policies": [{"id": 1, "name": "main", "type": "branch"}]
        },
        "/environments/production/secrets": {"secrets": [secret("PROD_HOST", 10), secret("PROD_SSH_KEY", 20)]},
        "/actions/secrets": {"secrets": [secret("TELEGRAM_BOT_TOKEN", 30)]},
        "/actions/organization-secrets": {"secrets": [secret("REGISTRY_TOKEN", 40)]},
        "/deployments": [
            {"id": 9, "sha": SHA, "ref": "main", "environment": "production", "creator": {"login": "mona"}}
            | {"created_at": ago(hours=1)}
        ],
        "/deployments/9/statuses": [{"state": "success", "environment_url": "https://shop.example"}],
        "/releases/tags/v1.4.2": {
            "tag_name": "v1.4.2",
            "draft": False,
            "prerelease": False,
            "body": "Prices are rounded as the law wants it.",
            "assets": [{"name": "shop.tar.gz", "state": "uploaded", "size": 4096}],
        },
    }


def secret(name: str, days: float) -> dict[str, str]:
    return {"name": name, "created_at": ago(days=days + 1), "updated_at": ago(days=days)}


NOT_FOUND = (404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})


@contextmanager
def github(told: dict[str, Any]) -> Iterator[str]:
    """The URL of such a server; `told` has a body by path, or a status with a body and headers."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        split = urlsplit(request.path)
        query = dict(parse_qsl(split.query))
        path = re.sub(r"^/repos/[^/]+/[^/]+", "", unquote(split.path))
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            found: Any = (401, {"message": "Bad credentials"})
        elif path == "/rate_limit":
            ends = (datetime.now(UTC) + timedelta(days=40)).strftime("%Y-%m-%d %H:%M:%S UTC")
            found = (200, {"resources": {}}, {"GitHub_Authentication_Token_Expiration": ends})
        else:
            found = told.get(path, NOT_FOUND)
        status, body, headers = (*found, {})[:3] if isinstance(found, tuple) else (200, found, {})
        content = body if isinstance(body, str) else json.dumps(_paged(body, query))
        reply(request, status, content.encode(), **headers)

    with web_server(answer) as port:
        yield f"http://127.0.0.1:{port}"


def _paged(body: Any, query: dict[str, str]) -> Any:
    """The page that was asked for, of the runs that were asked for."""
    if not isinstance(body, dict):
        return body
    name = next((key for key, value in body.items() if isinstance(value, list) and len(body) == 1), None)
    if name is None:
        return body
    size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
    wanted = {_FILTERS[key]: value for key, value in query.items() if key in _FILTERS}
    members = [each for each in body[name] if all(each[key] == value for key, value in wanted.items())]
    return {"total_count": len(members), name: members[(page - 1) * size : page * size]}
