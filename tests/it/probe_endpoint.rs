//! `GET /probe` beside a real blackbox_exporter.
