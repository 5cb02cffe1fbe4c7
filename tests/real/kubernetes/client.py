#!/usr/bin/env python3
"""Lists pods with the official client of Kubernetes, unchanged, as often as it is told.

    client.py COUNT

KUBECONFIG says where, and as whom. Prints the names of the pods, a line for each time; the exit code is 1, with the client's own
reason on standard error, if they cannot be listed.
"""

import sys

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException


def main():
    config.load_kube_config()
    pods = client.CoreV1Api()
    for _ in range(int(sys.argv[1])):
        try:
            print(*(pod.metadata.name for pod in pods.list_namespaced_pod("default").items))
        except ApiException as error:
            sys.exit(f"{error.status} {error.reason}")


if __name__ == "__main__":
    main()
