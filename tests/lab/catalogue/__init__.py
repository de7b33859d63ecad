"""The catalogue of faults: one module an area, named here."""

from tests.lab.catalogue import backups, databases, firewall, servers, sites
from tests.lab.faults import AreaFaults

AREAS: tuple[AreaFaults, ...] = (servers.FAULTS, firewall.FAULTS, backups.FAULTS, databases.FAULTS, sites.FAULTS)
