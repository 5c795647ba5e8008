"""Fixtures of the launch tests."""

import os

import pytest


@pytest.fixture
def peer():
    from support.ros import Peer

    peer = Peer(int(os.environ["ROS_DOMAIN_ID"]))
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def exits():
    """{process: its exit code}, filled as processes end."""
    return {}
