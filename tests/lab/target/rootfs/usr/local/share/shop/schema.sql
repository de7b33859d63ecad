CREATE ROLE shop LOGIN;
CREATE DATABASE shop OWNER shop;
\connect shop
SET ROLE shop;
CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE orders (id integer PRIMARY KEY, user_id integer NOT NULL REFERENCES users, cents integer NOT NULL CHECK (cents > 0));
INSERT INTO users SELECT n, 'user' || n || '@shop.lab' FROM generate_series(1, 100) n;
INSERT INTO orders SELECT n, 1 + n % 100, 100 + n FROM generate_series(1, 1000) n;
