"""What the shop keeps in its directory: the database, the uploads, and the file with its secrets."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

DATABASE = "shop.db"
UPLOADS = "uploads"
CONFIG = "shop.env"

# The service refuses to be healthy on any other: a release whose migration was forgotten.
SCHEMA_VERSION = 7

ORDERS = 360
PRODUCTS = (
    ("Teapot", 3400),
    ("Cup and saucer", 1250),
    ("Sugar bowl", 1800),
    ("Milk jug", 1650),
    ("Tea strainer", 700),
    ("Tea cosy", 2100),
    ("Kettle", 5600),
    ("Tray", 2900),
)

_SCHEMA = f"""
create table products (id integer primary key, name text not null, cents integer not null);
create table orders (
    id integer primary key,
    product_id integer not null references products,
    quantity integer not null,
    ordered_at text not null
);
pragma user_version = {SCHEMA_VERSION};
"""


def make_shop(directory: Path) -> None:
    """Write a database with an order for each of the last 360 hours, uploads, and the file of secrets."""
    now = datetime.now(UTC)
    orders = [
        (1 + n % len(PRODUCTS), 1 + n % 3, (now - timedelta(hours=ORDERS - n)).isoformat(timespec="seconds"))
        for n in range(ORDERS)
    ]
    with closing(sqlite3.connect(directory / DATABASE)) as database, database:
        database.executescript(_SCHEMA)
        database.executemany("insert into products (name, cents) values (?, ?)", PRODUCTS)
        database.executemany("insert into orders (product_id, quantity, ordered_at) values (?, ?, ?)", orders)

    uploads = directory / UPLOADS
    uploads.mkdir()
    for name, _ in PRODUCTS:
        drawing = f'<svg xmlns="http://www.w3.org/2000/svg"><title>{name}</title><circle r="9"/></svg>\n'
        (uploads / f"{name.lower().replace(' ', '-')}.svg").write_text(drawing)

    config = directory / CONFIG
    config.touch(mode=0o600)
    config.write_text(f"SHOP_DATABASE={DATABASE}\nSHOP_SESSION_KEY={secrets.token_hex(16)}\n")
