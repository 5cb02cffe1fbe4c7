#!/usr/bin/env python3
"""As much of the API of Kubernetes as it takes to list pods, for whoever has a token that the emulator signed for AKS.

    apiserver.py FOLDER KEYS_URL TENANT [refuse-first] [slow=PATH,SECONDS]

FOLDER has server.pem and server.key. Every path wants `Authorization: Bearer` and a token that PyJWT finds good at that moment; with
refuse-first it takes every token but the first that comes. With slow, the answer to that path takes as long. Prints its origin. The
file requests.txt in FOLDER gets a line per request before it is answered: status, path, and the number of the token in the order in
which they came, from 1; 0 if there was none.
"""

import http.server
import json
import pathlib
import ssl
import sys
import time

sys.path.append(str(pathlib.Path(__file__).parent.parent / "python"))

from entra import Verifier  # noqa: E402

AKS = "6dae42f8-4368-4678-94ff-3960e28e3630"
POD = {"metadata": {"name": "ada", "namespace": "default"}, "spec": {"containers": []}, "status": {"phase": "Running"}}
PODS = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"], "shortNames": ["po"]}
ANSWERS = {
    "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
    "/api": {"kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": [PODS]},
    "/api/v1/namespaces/default/pods": {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [POD]},
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        token = self.token()
        status, answer = self.answer(path, token)
        seen = self.server.tokens
        with self.server.log.open("a") as log:
            log.write(f"{status} {path} {seen.index(token) + 1 if token in seen else 0}\n")
        if path == self.server.slow[0]:
            time.sleep(self.server.slow[1])
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def token(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        if token not in self.server.tokens:
            self.server.tokens.append(token)
        return token

    def answer(self, path, token):
        try:
            if token is None:
                raise ValueError("no bearer token")
            if self.server.refuses_first and token == self.server.tokens[0]:
                raise ValueError("revoked")
            self.server.check(token, AKS, self.server.tenant)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return 401, failure(401, "Unauthorized", "Unauthorized")
        if path not in ANSWERS:
            return 404, failure(404, "NotFound", "the server could not find the requested resource")
        return 200, ANSWERS[path]

    def log_message(self, *_):
        pass


def failure(code, reason, message):
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**status, "code": code, "reason": reason, "message": message}


def main():
    folder, keys_url, tenant, *more = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.tokens, server.check, server.tenant = [], Verifier(keys_url), tenant
    server.log = pathlib.Path(folder, "requests.txt")
    server.refuses_first = "refuse-first" in more
    slow = [word.removeprefix("slow=").split(",") for word in more if word.startswith("slow=")]
    server.slow = (slow[0][0], float(slow[0][1])) if slow else (None, 0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
    # The handshake is part of the request's thread: who stays silent must not hold up the others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"serves at https://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
