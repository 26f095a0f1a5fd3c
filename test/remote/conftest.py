"""A real S3 server over HTTP on this machine, and a proxy that breaks what goes through it."""

import threading
import urllib.request

import pytest
from fault_proxy import FaultProxy

BUCKET = "films"


@pytest.fixture(scope="module")
def server():
    """Address of an S3 server (moto's, which answers conditions as S3 does)."""
    from moto.server import ThreadedMotoServer

    one = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    one.start()
    yield "http://{}:{}".format(*one.get_host_and_port())
    one.stop()


@pytest.fixture
def s3(server, monkeypatch):
    """An empty bucket; gives its address, for this process and those it starts."""
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "who",
        "AWS_SECRET_ACCESS_KEY": "planted-secret-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    client = boto3.client("s3", endpoint_url=server)
    urllib.request.urlopen(f"{server}/moto-api/reset", b"").close()
    client.create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}/work"
    client.close()


@pytest.fixture
def proxy(s3, server, monkeypatch):
    one = FaultProxy(server)
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", one.address)
    yield one
    one.shutdown()
    one.server_close()
