#!/usr/bin/env python3
"""A seeder renews timestamp and snapshot, and says in its metrics and its log when it cannot."""

import time
import urllib.request

from harness import Seeder, main, write
from test_keys import KeyCase


class Renewal(KeyCase):
    def nearly_expired(self):
        """A timestamp that is valid for another hour."""
        body = self.body("timestamp.json")
        body["expires"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        body["version"] += 1
        write(self.repo / "metadata/timestamp.json", self.sign_file(body, self.keys / "timestamp.pem"))
        return body

    def metrics(self, seeder):
        with urllib.request.urlopen(f"{seeder.url}/metrics", timeout=10) as reply:
            self.assertIn("version=0.0.4", reply.headers["Content-Type"])
            lines = reply.read().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}

    def wait_for(self, seeder, condition):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = self.metrics(seeder)
            if condition(found):
                return found
            time.sleep(0.05)
        self.fail(f"{found}\n{seeder.errors()}")

    def test_a_seeder_renews_a_nearly_expired_timestamp(self):
        self.publish_small("1.0")
        before = self.nearly_expired()
        online = self.home / "keys.seeder"
        self.hand_over(self.keys, online, "snapshot", "timestamp")
        seeder = Seeder(self, self.repo, "--keys", online)
        found = self.wait_for(seeder, lambda now: now["slipway_metadata_renewals_total"] == 1)
        expiry = found['slipway_metadata_expiry_timestamp_seconds{role="timestamp"}']
        self.assertGreater(expiry, time.time() + 6 * 86_400)
        self.assertGreater(found['slipway_metadata_expiry_timestamp_seconds{role="snapshot"}'], time.time())
        self.assertEqual(self.body("timestamp.json")["version"], before["version"] + 1)
        self.assertEqual(found["slipway_metadata_renewal_failures_total"], 0)
        self.install("1.0", seeder.url)
        found = self.metrics(seeder)
        self.assertGreater(found["slipway_seeder_http_sent_bytes_total"], 1000)
        self.assertGreater(found["slipway_seeder_http_connections_total"], 1)
        self.assertGreaterEqual(found["slipway_seeder_http_connections"], 1)
        self.assertEqual(found["slipway_seeder_packs"], 1)

    def test_without_its_key_it_warns_and_counts(self):
        self.publish_small("1.0")
        self.nearly_expired()
        online = self.home / "keys.seeder"
        self.hand_over(self.keys, online, "snapshot")
        seeder = Seeder(self, self.repo, "--keys", online)
        self.wait_for(seeder, lambda now: now["slipway_metadata_renewal_failures_total"] >= 1)
        self.assertIn("metadata.renewal_failed", seeder.errors())
        self.assertIn("timestamp", seeder.errors())
        self.install("1.0", seeder.url)  # It serves all the same.

    def test_a_seeder_without_keys_watches_expiry(self):
        seeder = Seeder(self, self.repo)
        name = 'slipway_metadata_expiry_timestamp_seconds{role="timestamp"}'
        found = self.wait_for(seeder, lambda now: name in now)
        self.assertGreater(found[name], time.time() + 6 * 86_400)
        self.assertEqual(found["slipway_metadata_renewal_failures_total"], 0)


if __name__ == "__main__":
    main()
