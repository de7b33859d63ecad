"""TLS: certificates, protocols, ciphers, and how a certificate is renewed."""
