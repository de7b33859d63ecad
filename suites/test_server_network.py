"""What must hold of the network as a server sees it: ports, names, connections, interfaces, routes."""

import pytest


@pytest.mark.check("port.listening", severity="blocker")
def test_port_is_open_or_closed_as_declared(port, actual_port):
    """No one waits behind a closed port; and behind one that was forgotten someone else's tool does.

    Mend: start or stop the service that this port belongs to.
    """
    assert actual_port.listening in port.listening


@pytest.mark.check("port.addresses", severity="blocker")
def test_port_is_open_on_the_declared_addresses_only(port, actual_port):
    """A database that listens on 0.0.0.0 has only the firewall between it and everybody.

    Mend: set the listen or bind address in the service's configuration, and restart it.
    """
    assert actual_port.addresses in port.addresses


@pytest.mark.check("port.listeners")
def test_port_is_held_by_the_declared_process(port, listeners):
    """When the wrong program has taken the port, the right one can't start after the next crash.

    Mend: stop the program that took the port, and start the one that it belongs to.
    """
    assert listeners in port.listeners


@pytest.mark.check("server.listening_only", severity="blocker")
def test_nothing_else_listens(server, open_ports):
    """The debugger of last week's incident still waits at its port, and so does whoever found it.

    Mend: see with `ss -lntup` whose port it is, and stop that, or bind it to 127.0.0.1.
    """
    assert open_ports.names in server.listening_only


@pytest.mark.check("server.reaches", severity="blocker")
def test_server_can_connect_where_it_must_and_nowhere_else(reached, expected):
    """A firewall that was closed at the other end shows only when the first request needs what is behind it.

    Mend: try it on the server with `nc -zv`, then look at the name, the route, and the firewalls on the way.
    """
    assert reached.connected in expected, reached.told


@pytest.mark.check("dns.resolvable")
def test_name_can_be_resolved_or_not_as_declared(dns_name, resolved):
    """A name that only some servers know takes the service down on the others.

    Mend: try `getent hosts` on the server, then look at /etc/resolv.conf and at the zone.
    """
    assert resolved.resolvable in dns_name.resolvable, resolved.told


@pytest.mark.check("dns.addresses")
def test_name_leads_to_the_declared_addresses(dns_name, resolved):
    """A line that was left in /etc/hosts sends one server to the old database.

    Mend: try `getent ahosts` on the server, then look at /etc/hosts and at the zone.
    """
    assert resolved.addresses in dns_name.addresses, resolved.told


@pytest.mark.check("interface.exists")
def test_interface_is_there_or_is_not_as_declared(interface, actual_interface):
    """Without the interface of the private network its traffic goes by the public one, or nowhere.

    Mend: attach the network to the server, and see with `ip link` what the interface is called.
    """
    assert actual_interface.exists in interface.exists


@pytest.mark.check("interface.up")
def test_interface_is_up(interface, actual_interface):
    """An interface that was brought up by hand stays down after the reboot.

    Mend: run `ip link set NAME up`, and see why the network's configuration does not.
    """
    assert actual_interface.up in interface.up


@pytest.mark.check("interface.mtu")
def test_interface_takes_packets_as_large_as_declared(interface, actual_interface):
    """With the wrong MTU small answers come through, and large ones hang.

    Mend: set the MTU in the network's configuration, to what the whole way can take.
    """
    assert actual_interface.mtu in interface.mtu


@pytest.mark.check("interface.addresses")
def test_interface_has_the_declared_addresses(interface, interface_addresses):
    """Whatever is allowed by address stays out when the server comes from another one.

    Mend: set the address in the network's configuration, not by hand.
    """
    assert interface_addresses in interface.addresses


@pytest.mark.check("server.routes")
def test_packets_take_the_declared_way(routes, key, expected):
    """A route that was set by hand is gone after the reboot, and with it the way to the database.

    Mend: set the route in the network's configuration, not by hand.
    """
    assert routes.ways.get(key) in expected
