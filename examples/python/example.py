"""A tour of ConfigApi with a generated client; scripts/examples runs it and checks what it prints.

Where the servers are: CONFIGAPI_COMMAND_ADDR, CONFIGAPI_QUERY_ADDR, CONFIGAPI_WATCH_ADDR.
"""

import concurrent.futures
import os

import grpc

from client import CALL_TIMEOUT_SECONDS, Refusal, change, follow, send
from configapi.v1 import command_service_pb2 as commands
from configapi.v1 import command_service_pb2_grpc as command_grpc
from configapi.v1 import query_service_pb2 as queries
from configapi.v1 import query_service_pb2_grpc as query_grpc
from configapi.v1 import types_pb2 as types

INCREMENTS = 20
SINGLE_CHANGES = 100
CHANGES_AS_ONE = 600


def main():
    with connect("COMMAND") as command, connect("QUERY") as query, connect("WATCH") as watch:
        command_service = command_grpc.CommandServiceStub(command)
        query_service = query_grpc.QueryServiceStub(query)
        set_and_get(command_service, query_service)
        read_errors(command_service)
        compare_and_set(command_service, query_service)
        watch_and_resume(command_service, query_grpc.QueryServiceStub(watch))


def connect(server):
    return grpc.insecure_channel(os.environ[f"CONFIGAPI_{server}_ADDR"])


def set_and_get(command_service, query_service):
    request = commands.SetRequest(
        name="python/greeting", value="hello", actor="ada", reason="the tour"
    )
    receipt = send(command_service.Set, request).receipt
    # Whichever server answers, it answers with this write or a later one.
    freshness = types.Consistency(at_least_token=receipt.token)
    answer = query_service.Get(
        queries.GetRequest(name="python/greeting", consistency=freshness),
        timeout=CALL_TIMEOUT_SECONDS,
    )
    print(f"get: {answer.config.value} at version {answer.config.version}")


def read_errors(command_service):
    for request in (
        commands.SetRequest(name="not a name", value="x"),
        commands.SetRequest(name="python/greeting", value="x", expected_version=7),
    ):
        try:
            send(command_service.Set, request)
        except grpc.RpcError as error:
            refusal = Refusal(error)
            print(f"refused: {refusal.reason}")
            for field, description in refusal.fields.items():
                print(f"  {field} {description}")
            for key in ("expected_version", "actual_version"):
                if key in refusal.metadata:
                    print(f"  {key} is {refusal.metadata[key]}")


def compare_and_set(command_service, query_service):
    name = "python/counter"
    send(command_service.Set, commands.SetRequest(name=name, value="0"))

    def increment_often():
        for _ in range(INCREMENTS):
            last = change(command_service, query_service, name, lambda text: str(int(text) + 1))
        return last

    with concurrent.futures.ThreadPoolExecutor() as pool:
        writers = [pool.submit(increment_often) for _ in range(2)]
        last = max((writer.result() for writer in writers), key=lambda receipt: receipt.version)
    freshness = types.Consistency(at_least_token=last.token)
    request = queries.GetRequest(name=name, consistency=freshness)
    config = query_service.Get(request, timeout=CALL_TIMEOUT_SECONDS).config
    print(f"counted: {config.value} by 2 writers, version {config.version}")


def watch_and_resume(command_service, query_service):
    prefix = "python/watched/"
    request = commands.SetRequest(name="python/start", value="")
    token = send(command_service.Set, request).receipt.token
    with concurrent.futures.ThreadPoolExecutor() as pool:
        writing = pool.submit(write_what_is_watched, command_service, prefix)
        seen = []
        # The connection breaks again and again; scripts/examples sees to that.
        for events, token in follow(query_service, prefix, token):
            seen += [event.position for event in events]
            if any(event.value_set.value == "the end" for event in events):
                break
        written = writing.result()
    verdict = "exactly those written" if seen == written else "NOT those written"
    print(f"watched: {len(seen)} events, {verdict}")


def write_what_is_watched(command_service, prefix):
    """Writes singly and many at once, and returns the positions."""
    positions = []
    for number in range(SINGLE_CHANGES):
        request = commands.SetRequest(name=f"{prefix}single", value=str(number))
        positions.append(send(command_service.Set, request).receipt.position)
    request = commands.ApplyRequest(
        commands=[
            commands.Command(name=f"{prefix}{number}", set=commands.SetAction(value="x" * 100))
            for number in range(CHANGES_AS_ONE)
        ]
    )
    positions += [receipt.position for receipt in send(command_service.Apply, request).receipts]
    request = commands.SetRequest(name=f"{prefix}single", value="the end")
    positions.append(send(command_service.Set, request).receipt.position)
    return positions


if __name__ == "__main__":
    main()
