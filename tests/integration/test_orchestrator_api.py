"""The API page (docs/api/orchestrator.yaml) against the program, who may ask what, and writes that are repeated."""

import json
import re
from pathlib import Path

import yaml

from harness import main
from orchestrator_fleet import Client, FleetCase

PAGE = Path(__file__).resolve().parents[2] / "docs/api/orchestrator.yaml"
ADMIN = "operator/ann?role=admin"


class Schema:
    """Checks values against the page's schemas: as much of OpenAPI 3.0 as the page uses."""

    def __init__(self, page):
        self.page = page

    def resolve(self, node):
        while "$ref" in node:
            found = self.page
            for part in node["$ref"].lstrip("#/").split("/"):
                found = found[part]
            node = found
        return node

    def problems(self, value, schema, where="$"):
        schema = self.resolve(schema)
        if value is None:
            return [] if schema.get("nullable") else [f"{where} is null"]
        kind = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}.get(schema.get("type"), object)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            return [f"{where} is {value!r}, not {schema['type']}"]
        found = []
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{where} is {value!r}, not of {schema['enum']}")
        if isinstance(value, list):
            for i, one in enumerate(value):
                found += self.problems(one, schema.get("items", {}), f"{where}[{i}]")
        if isinstance(value, dict):
            known = schema.get("properties", {})
            found += [f"{where}.{name} is missing" for name in schema.get("required", []) if name not in value]
            for name, one in value.items():
                if name in known:
                    found += self.problems(one, known[name], f"{where}.{name}")
                elif "additionalProperties" in schema:
                    found += self.problems(one, schema["additionalProperties"], f"{where}.{name}")
                elif known:
                    found.append(f"{where}.{name} is not in the page")
        return found


class Api(FleetCase):
    def setUp(self):
        super().setUp()
        self.page = yaml.safe_load(PAGE.read_text())
        self.schema = Schema(self.page)
        self.start()

    def operation(self, method, path):
        """The page's operation for a request."""
        path = path.split("?")[0]
        for pattern, operations in self.page["paths"].items():
            if re.fullmatch(re.sub(r"\\\{[a-z]+\\\}", "[^/]+", re.escape(pattern)), path) and method.lower() in operations:
                return operations[method.lower()]
        raise AssertionError(f"{method} {path} is not in the page")

    def checked(self, method, path, body=None, identity=ADMIN, status=None, headers=None):
        """Asks, and holds the answer against the page; gives it."""
        got, answer, more = self.ask(method, path, body, identity, headers)
        if status:
            self.assertEqual(got, status, answer)
        responses = self.operation(method, path)["responses"]
        response = responses.get(str(got)) or {"$ref": "#/components/responses/Error"}
        self.assertTrue(str(got) in responses or got >= 400, f"{method} {path} answered {got}: {answer}")
        content = self.schema.resolve(response).get("content")
        if content:
            problems = self.schema.problems(answer, content["application/json"]["schema"])
            self.assertEqual(problems, [], f"{method} {path}: {json.dumps(answer)[:2000]}")
        return answer

    def test_the_page_has_the_routes_of_the_program_and_who_may(self):
        routes = {(r["method"].lower(), r["path"], r["access"]) for r in self.checked("GET", "/v1", status=200)["routes"]}
        page = {
            (method, path, operation["x-access"])
            for path, operations in self.page["paths"].items() for method, operation in operations.items()
        }
        self.assertEqual(routes, page)

    def test_answers_are_what_the_page_says(self):
        self.host_fleet(2)
        put = self.checked("PUT", "/v1/services/web/environments/prod", {"labels": "tier=web", "strategy": "rolling"}, status=200)
        self.assertEqual(put["hosts"], 2)
        self.put_environment()
        order = {"service": "web", "environment": "prod", "artifact": "web@1.0"}
        plan = self.checked("POST", "/v1/plans", order, status=200)
        self.assertTrue(plan["changes"])
        made = self.checked("POST", "/v1/deployments", {**order, "check_plan": plan["id"], "why": "first"}, status=201)
        self.checked("GET", f"/v1/deployments/{made['id']}", status=200)
        self.wait_for(made["id"], "succeeded")
        for path in (
            "/healthz", "/readyz", "/v1/hosts", "/v1/hosts/h0", "/v1/hosts?labels=tier=web&state=online", "/v1/services",
            "/v1/deployments", "/v1/deployments?state=succeeded", f"/v1/deployments/{made['id']}", "/v1/freezes",
            f"/v1/deployments/{made['id']}/hosts", f"/v1/deployments/{made['id']}/evidence", "/v1/history", "/v1/audit",
        ):
            self.checked("GET", path, status=200)
        self.checked("PUT", "/v1/freezes/service:web%2Fprod", {"why": "x"}, status=200)
        self.assertEqual(len(self.checked("GET", "/v1/freezes")["items"]), 1)
        self.checked("DELETE", "/v1/freezes/service:web%2Fprod", status=200)
        self.checked("POST", "/v1/services/web/environments/prod/rollback", {}, status=None)
        for method, path, body, status in (
            ("GET", "/v1/hosts/nobody", None, 404),
            ("GET", "/v1/deployments/d999999", None, 404),
            ("POST", "/v1/deployments/d999999/pause", {}, 404),
            ("POST", "/v1/deployments", {**order, "artifact": "web@9"}, 404),
            ("POST", "/v1/deployments", {**order, "enviroment": "x"}, 400),
            ("POST", "/v1/deployments", {"service": "web"}, 400),
            ("PUT", "/v1/freezes/everything", {}, 400),
            ("DELETE", "/v1/hosts/nobody", None, 404),
            ("DELETE", "/v1/hosts/h0", None, 409),
            ("GET", "/v1/hosts?limit=0", None, 400),
            ("GET", "/v1/hosts?sort=name", None, 400),
        ):
            self.assertEqual(self.checked(method, path, body)["error"]["code"] == "", False)
            self.assertEqual(self.ask(method, path, body)[0], status, f"{method} {path}")
        status, text, headers = self.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertIn(b"slipway_orchestrator_driving 1", text)
        self.assertEqual(self.ask("POST", "/v1/hosts", {})[0], 405)
        self.assertEqual(self.ask("GET", "/v2")[0], 404)
        self.assertEqual(self.ask("POST", "/v1/plans", {"service": "x" * 300_000})[0], 413)

    def test_each_role_may_what_the_page_says_and_is_told_otherwise(self):
        may = {
            "operator/v?role=viewer": {"viewer", "fleet"},
            "operator/d?role=deployer": {"viewer", "fleet", "deployer"},
            "operator/a?role=approver": {"viewer", "fleet", "approver"},
            "operator/x?role=admin": {"viewer", "fleet", "deployer", "approver", "admin"},
            "agent/h0": {"fleet", "agent"},
            "publisher/ci": {"fleet"},
            "orchestrator/o2": {"viewer", "fleet"},
        }
        for identity, accesses in may.items():
            client = Client(self.authority.python_context(self.party(identity)), self.addresses)
            for path, operations in self.page["paths"].items():
                for method, operation in operations.items():
                    if path in ("/v1/events", "/v1/agents/sync") and operation["x-access"] in accesses:
                        continue
                    asked = re.sub(r"\{[a-z]+\}", "none", path)
                    status, answer, _ = client.once(method.upper(), asked, None if method == "get" else {})
                    allowed = operation["x-access"] in accesses
                    self.assertEqual(status != 403, allowed, f"{identity} {method} {path}: {status} {answer}")
                    if not allowed:
                        self.assertIn("certificate of", answer["error"]["message"])
                        self.assertIn(identity.split("?")[0], answer["error"]["message"])
            client.close()

    def test_a_list_comes_in_pages(self):
        self.host_fleet(5)
        seen, path = [], "/v1/hosts?limit=2"
        while path:
            page = self.checked("GET", path, status=200)
            self.assertLessEqual(len(page["items"]), 2)
            seen += [host["host"] for host in page["items"]]
            path = page["next"] and f"/v1/hosts?limit=2&after={page['next']}"
        self.assertEqual(seen, ["h0", "h1", "h2", "h3", "h4"])

    def test_a_write_with_a_key_is_done_once(self):
        self.host_fleet(2)
        self.put_environment()
        order = {"service": "web", "environment": "prod", "artifact": "web@1.0"}
        key = {"Idempotency-Key": "k1"}
        first = self.checked("POST", "/v1/deployments", order, status=201, headers=key)
        status, again, headers = self.ask("POST", "/v1/deployments", order, headers=key)
        self.assertEqual((status, again), (201, first))
        self.assertEqual(headers["Idempotency-Replayed"], "true")
        other = self.ask("POST", "/v1/deployments", {**order, "why": "x"}, headers=key)
        self.assertEqual(other[0], 422)
        self.wait_for(first["id"], "succeeded")
        self.assertEqual(len(self.get("/v1/deployments")["items"]), 1)
        # The key of another caller is another key, and the answer outlives the process.
        stranger = self.ask("POST", "/v1/deployments", order, "operator/bob?role=deployer", key)
        self.assertNotIn("Idempotency-Replayed", stranger[2])
        self.kill(self.orchestrators[0])
        self.start()
        status, again, headers = self.ask("POST", "/v1/deployments", order, headers=key)
        self.assertEqual((status, again), (201, first))
        # What was refused was not done, and may be asked again.
        refused = self.ask("POST", "/v1/deployments", {**order, "artifact": "web@9"}, headers={"Idempotency-Key": "k2"})
        self.assertEqual(refused[0], 404)
        self.assertEqual(self.ask("POST", "/v1/plans", order, headers={"Idempotency-Key": "x" * 300})[0], 200)
        long = self.ask("POST", "/v1/deployments", order, headers={"Idempotency-Key": "x" * 300})
        self.assertEqual(long[0], 400)


if __name__ == "__main__":
    main()
