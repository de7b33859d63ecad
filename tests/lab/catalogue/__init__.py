"""The catalogue of faults: one module an area, named here."""

from tests.lab.catalogue import servers
from tests.lab.faults import AreaFaults

AREAS: tuple[AreaFaults, ...] = (servers.FAULTS,)
