"""What the clients print is read rightly; the samples are what each one writes at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import clients, clients_dns, clients_tls
from tests.benchmarks.clients import Client, Task
from tests.benchmarks.goals import GOALS, Goal
from tests.benchmarks.parts import PARTS, Part
from tests.benchmarks.workload import Workload, read_hosts

CLIENTS = {client.name: client for part in PARTS for client in part.clients}

DNSPERF = """\
Statistics:

  Queries sent:         120000
  Queries completed:    119990 (99.99%)
  Queries lost:         10 (0.01%)

  Response codes:       NOERROR 63026 (52.53%), NXDOMAIN 56950 (47.46%), SERVFAIL 14 (0.01%)
  Average packet size:  request 34, response 102
  Run time (s):         0.942366
"""

MASSDNS = """\
{"concurrency":1000,"response":{"OK":{"success_number":1,"total_number":1}}}
{"concurrency":1000,"response":{"OK":{"success_number":30,"total_number":31},\
"NXDOMAIN":{"success_number":10,"total_number":10},"SERVFAIL":{"success_number":0,"total_number":2}}}
"""

ZDNS = '{"names":45,"lookups":45,"statuses":{"NOERROR":30,"NXDOMAIN":10,"TIMEOUT":5}}\n'

ZGRAB2 = """\
time="2026-11-24T04:00:00Z" level=info msg="finished grab"
{"statuses":{"smtp":{"successes":40,"failures":5}},"start":"","end":"","duration":"1.5s"}
"""

POSTTLS_FINGER = """\
posttls-finger: 127.1.0.1[127.1.0.1]:2525: subject_CN=*.mail.load, issuer_CN=Load Intermediate
posttls-finger: Verified TLS connection established to 127.1.0.1[127.1.0.1]:2525: TLSv1.3
"""

SSLYZE = """\
CryptographyDeprecationWarning: Parsed a serial number which wasn't positive
{
  "server_scan_results": [
    {"scan_result": {"certificate_info": {
          "status": "COMPLETED"}}},
    {"scan_result": {"certificate_info": {
          "status": "ERROR"}}}
  ]
}
"""

OURS = """\
a warning
{"answers": 40, "seconds": 0.5, "cpu": 0.4, "statuses": {"NOERROR": 40}}
"""


@pytest.mark.parametrize(
    ("read", "output", "answers", "seconds"),
    [
        (clients_dns.read_dnsperf, DNSPERF, 119976, 0.942366),
        (clients_dns.read_massdns, MASSDNS, 40, None),
        (clients_dns.read_zdns, ZDNS, 40, None),
        (clients_tls.read_zgrab2, ZGRAB2, 40, None),
        (clients_tls.read_posttls_finger, POSTTLS_FINGER, 1, None),
        (clients_tls.read_sslyze, SSLYZE, 1, None),
        (clients.read_json, OURS, 40, 0.5),
    ],
)
def test_readers(read: clients.Read, output: str, answers: int, seconds: float | None) -> None:
    """Definite answers only: a SERVFAIL or a timeout is a question without one."""
    reading = read(output)
    assert (reading.answers, reading.seconds) == (answers, seconds)


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_what_cannot_be_read_is_an_error(client: Client) -> None:
    """A client that printed nothing has no figures."""
    with pytest.raises(ValueError, match="no "):
        client.read("Segmentation fault\n")


@pytest.mark.parametrize(
    ("part", "client"),
    [(part, client) for part in PARTS for client in part.clients],
    ids=[f"{part.name}-{client.name}" for part in PARTS for client in part.clients],
)
def test_commands_name_the_server_and_files_that_exist(
    part: Part, client: Client, tmp_path: Path
) -> None:
    """The files hold the work that there is, as often as the client needs it there."""
    (tmp_path / "domains.csv").write_text("1,a.load\n2,b.load\n3,c.load\n")
    for name in ("mx_hosts", "policy_hosts"):
        (tmp_path / f"{name}.csv").write_text("127.1.0.1,mx1.load\n127.1.0.2,mx2.load\n")
    (tmp_path / "chains.csv").write_text("a.load,b.load,MAA=,MAA=\n")
    workload = Workload(tmp_path, size=2, repeat=3)
    commands = client.commands(Task(("127.0.0.1", 5353), workload, tmp_path))
    written = "".join(path.read_text() for path in tmp_path.glob("*.txt"))
    if part.name != "judge":
        assert "5353" in f"{commands}{written}"
    if client.name in ("s_time", "wrk"):  # they have a time and no list
        return
    listed = [path.name in f"{commands}" for path in tmp_path.glob("*-2*")]
    assert any(listed) or "127.1.0.2" in f"{commands}{written}"


def test_the_questions(tmp_path: Path) -> None:
    """TXT and MX of the first domains."""
    (tmp_path / "domains.csv").write_text("1,a.load\n2,b.load\n3,c.load\n")
    workload = Workload(tmp_path, size=2, repeat=2)
    assert workload.questions == 8
    assert workload.pairs.read_text() == (
        "_mta-sts.a.load TXT\na.load MX\n_mta-sts.b.load TXT\nb.load MX\n"
    )
    assert workload.of_type("TXT").read_text() == "_mta-sts.a.load\n_mta-sts.b.load\n" * 2
    assert workload.listed.read_text() == "1,a.load\n2,b.load\n"


def test_the_hosts(tmp_path: Path) -> None:
    """The first hosts of a list, as often as they are contacted."""
    (tmp_path / "mx_hosts.csv").write_text("127.1.0.1,a.load\n127.1.0.2,b.load\n")
    workload = Workload(tmp_path, size=1, repeat=2)
    assert workload.times == 2
    assert read_hosts(workload.hosts("mx_hosts")) == [("127.1.0.1", "a.load")] * 2


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.text)
def test_goals_are_about_clients_that_there_are(goal: Goal) -> None:
    """A goal with a misspelt client would be "not measured" for ever."""
    (part,) = [part for part in PARTS if part.name == goal.part]
    assert set(goal.concerns) <= {client.name for client in part.clients}
