"""The catalogue of faults: one module an area, named here."""

from tests.lab.catalogue import api, backups, databases, dns, firewall, renewal, servers, sites, tls, walled
from tests.lab.faults import AreaFaults

AREAS: tuple[AreaFaults, ...] = (
    servers.FAULTS, firewall.FAULTS, *walled.FAULTS, backups.FAULTS, databases.FAULTS, sites.FAULTS, api.FAULTS,
    dns.FAULTS, tls.FAULTS, renewal.FAULTS,
)  # fmt: skip
