"""Images in a container registry: whether the release is there, what it is, and whether the one before still is."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from readygate.areas.asking_http import Answer, Api, api
from readygate.areas.servers.files import age_s
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostDuration, Flag, Text, TextSet
from readygate.spec import Setting, Spec

_HUB = "registry-1.docker.io"
_REFERENCE = re.compile(
    r"(?P<path>[\w.-]+(?::\d+(?=/))?(?:/[\w.-]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by its registry, its name there, and a tag or a digest."""

    registry: str
    name: str
    tag: str


def reference(text: str) -> Reference:
    """An image as docker writes it; raises Mistake where it has no tag, as nobody knows then what is meant."""
    found = _REFERENCE.fullmatch(text)
    if not found or not (found["tag"] or found["digest"]):
        raise Mistake(f"'{text}' is no image with a tag", 'write e.g. "ghcr.io/acme/shop:v1.4.2"')
    registry, slash, name = found["path"].partition("/")
    if not slash or not (set(registry) & set(".:") or registry == "localhost"):
        registry, name = _HUB, found["path"] if slash else f"library/{found['path']}"
    return Reference(_HUB if registry == "docker.io" else registry, name, found["digest"] or found["tag"])


def _checked(text: str) -> str:
    reference(text)
    return text


class Login(Setting):
    """Who asks a registry."""

    user: str = Field(description="A setting: the user; at GitHub's registry any.")
    password: SecretStr = Field(description='A setting: the password or token: "${REGISTRY_TOKEN}".')


class Image(Spec):
    """An image in a registry that speaks the distribution API of OCI."""

    area: ClassVar[str] = "image"
    noun: ClassVar[str] = "image"

    image: Annotated[str, AfterValidator(_checked)] = Field(
        description='A setting: the image with its tag: "ghcr.io/acme/shop:v${VERSION}".'
    )
    insecure: bool = Field(False, description="A setting: whether the registry is asked by http://.")
    login: Login | None = Field(None, description="A setting: who asks; an open image needs nobody.")
    ca: str | None = Field(None, description="A setting: path of a private CA bundle.")

    exists: Flag | None = Field(None, description="Whether the registry has it.")
    digest: Text | None = Field(None, description="Its digest: sha256:….")
    age: AtMostDuration | None = Field(None, description="How long ago it was built.")
    platforms: TextSet | None = Field(None, description="What it runs on: [linux/amd64, linux/arm64].")
    labels: dict[str, Text] | None = Field(
        None, description='Its labels: {org.opencontainers.image.revision: "${GITHUB_SHA}"}.'
    )
    tags: TextSet | None = Field(None, description="All tags of this name; {contains: [v1.4.1]} for a way back.")
    same_as: dict[str, Flag] | None = Field(None, description="By another tag, whether it is the very same image.")
    also: dict[str, Flag] | None = Field(
        None, description="By another tag, whether the registry has that too: the one to roll back to."
    )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a tag stands for; `told` is the manifest itself, or the index of several."""

    digest: str
    told: Any


class Registry:
    """Asks one registry for one name, and logs in where it is told to."""

    def __init__(self, image: Image) -> None:
        self.wanted = reference(image.image)
        self._image = image
        self._authorization: SecretStr | None = None

    def manifest(self, tag: str) -> Manifest | None:
        """What a tag stands for; None where there is no such tag. CouldNotLook: the registry does not tell."""
        answer = self._get(f"/v2/{self.wanted.name}/manifests/{tag}", ", ".join((*_INDEXES, *_MANIFESTS)))
        if answer.status == 404 and _is_unknown(answer, "MANIFEST_UNKNOWN", "NAME_UNKNOWN"):
            return None
        told = answer.json()
        digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        claimed = answer.header("Docker-Content-Digest")
        if claimed not in (None, digest):
            raise CouldNotLook(f"{answer.url} is not what its digest says", mend="look who stands between")
        return Manifest(digest, told)

    def tags(self) -> frozenset[str] | None:
        """All tags of the name; None where the registry does not know it."""
        found: set[str] = set()
        path = f"/v2/{self.wanted.name}/tags/list?n=1000"
        for _ in range(100):
            answer = self._get(path, "application/json")
            if answer.status == 404 and _is_unknown(answer, "NAME_UNKNOWN"):
                return None
            found.update(answer.json().get("tags") or ())
            following = re.match(r"<(?:https?://[^/]+)?(/[^>]*)>;\s*rel=\"?next", answer.header("Link") or "")
            if not following:
                return frozenset(found)
            path = following[1]
        raise CouldNotLook(f"{self.wanted.name} has tags without end")

    def blob(self, digest: str) -> Any:
        return self._get(f"/v2/{self.wanted.name}/blobs/{digest}", "*/*").json()

    def _get(self, path: str, accept: str) -> Answer:
        answer = self._api(accept, self._authorization).get(path, follow=True)
        if answer.status == 401 and self._authorization is None:
            self._authorization = self._logged_in(answer)
            answer = self._api(accept, self._authorization).get(path, follow=True)
        return answer

    def _api(self, accept: str, authorization: SecretStr | None) -> Api:
        scheme = "http" if self._image.insecure else "https"
        headers = {"Accept": SecretStr(accept)} | ({"Authorization": authorization} if authorization else {})
        return api(self._image.name, f"{scheme}://{self.wanted.registry}", headers, self._image.ca)

    def _logged_in(self, refusal: Answer) -> SecretStr:
        """By password, or by a token that a server of the registry's own gives for it (distribution spec, token)."""
        challenge = refusal.header("WWW-Authenticate") or ""
        login = self._image.login
        basic = f"{login.user}:{login.password.get_secret_value()}" if login else ""
        encoded = SecretStr(f"Basic {base64.b64encode(basic.encode()).decode()}")
        if challenge.lower().startswith("basic") and login:
            return encoded
        told = dict(_CHALLENGE.findall(challenge))
        if not challenge.lower().startswith("bearer") or "realm" not in told:
            raise CouldNotLook(f"{self.wanted.registry} wants a login", mend="write `login: {user: …, password: …}`")
        realm = re.fullmatch(r"(https?://[^/]+)(/.*)?", told["realm"])
        if not realm or (realm[1].startswith("http:") and not self._image.insecure):
            raise CouldNotLook(
                f"{self.wanted.registry} sends us to {told['realm']} for a token", mend="don't trust it"
            )
        server = api(self._image.name, realm[1], {"Authorization": encoded} if login else None, self._image.ca)
        query = {"service": told.get("service", ""), "scope": f"repository:{self.wanted.name}:pull"}
        given = server.get(realm[2] or "/", query).json()
        return SecretStr(f"Bearer {given.get('token') or given.get('access_token')}")


def _is_unknown(answer: Answer, *codes: str) -> bool:
    """Whether it is the registry that says so, and not whatever else answers at this address."""
    return any(each.get("code") in codes for each in answer.parsed().get("errors") or ())


def registry(image: Image) -> Registry:
    """The way to the registry, which all questions about an image share."""
    return Registry(image)


def observe_manifest(registry: Registry) -> Manifest | None:
    return registry.manifest(registry.wanted.tag)


def observe_configs(registry: Registry, manifest: Manifest | None) -> tuple[Any, ...]:
    """The configuration of the image on each platform: when it was built, for what, and its labels."""
    if manifest is None:
        return ()
    parts = manifest.told.get("manifests")
    if parts is None:
        return (registry.blob(manifest.told["config"]["digest"]),)
    # Beside images an index has what attests them, for a platform that there isn't.
    images = [each["digest"] for each in parts if (each.get("platform") or {}).get("os") != "unknown"]
    found = [registry.manifest(digest) for digest in images]
    missing = sum(each is None for each in found)
    if missing:
        raise CouldNotLook(f"the registry lacks {missing} of the images that the index names", mend="push them again")
    return tuple(registry.blob(each.told["config"]["digest"]) for each in found if each)


def observe_platforms(image_configs: tuple[Any, ...]) -> frozenset[str] | None:
    found = (
        "/".join(filter(None, (each["os"], each["architecture"], each.get("variant")))) for each in image_configs
    )
    return frozenset(found) or None


def observe_built_s(image_configs: tuple[Any, ...]) -> float | None:
    """Seconds since the oldest of its images was built. CouldNotLook: it does not tell, as reproducible ones."""
    moments = [str(each.get("created") or "") for each in image_configs]
    if not moments:
        return None
    # Nine digits behind the point are more than Python reads.
    built = [re.sub(r"\.\d+", "", moment) for moment in moments]
    if any(not moment or moment.startswith(("0001", "1970")) for moment in built):
        raise CouldNotLook("the image does not tell when it was built", mend="leave `age` out")
    return max(age_s(int(datetime.fromisoformat(moment).timestamp()), int(time.time())) for moment in built)


def observe_label(image_configs: tuple[Any, ...], key: str) -> str | None:
    """A label that all of its images carry alike."""
    found = {((each.get("config") or {}).get("Labels") or {}).get(key) for each in image_configs}
    return found.pop() if len(found) == 1 else None


def observe_tags(registry: Registry) -> frozenset[str] | None:
    return registry.tags()


def observe_other_tag(registry: Registry, key: str) -> Manifest | None:
    return registry.manifest(key)


def observe_same(manifest: Manifest | None, other_manifest: Manifest | None) -> bool | None:
    return None if manifest is None or other_manifest is None else manifest.digest == other_manifest.digest


FACTS: dict[str, Callable[..., Any]] = {
    "registry": registry,
    "manifest": observe_manifest,
    "image_configs": observe_configs,
    "image_platforms": observe_platforms,
    "image_built_s": observe_built_s,
    "image_label": observe_label,
    "image_tags": observe_tags,
    "other_manifest": observe_other_tag,
    "same_image": observe_same,
}
