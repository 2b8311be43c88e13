"""What every client of ConfigApi needs on top of the generated code, in a page.

Reasons out of errors, commands that are safe to repeat, compare-and-set with retries, and a watch
that misses nothing and tells nothing twice, whatever happens to its connection.
"""

import random
import threading
import time
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from configapi.v1 import command_service_pb2 as commands
from configapi.v1 import query_service_pb2 as queries
from configapi.v1 import types_pb2 as types

CALL_TIMEOUT_SECONDS = 5
MAX_ATTEMPTS = 5
MAX_ROUNDS = 50
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2
# The server shows life every 10 seconds.
SILENCE_SECONDS = 25


class Refusal:
    """An error as ConfigApi tells it: a reason for machines, and what goes with it."""

    def __init__(self, error):
        self.reason = None
        self.metadata = {}
        self.fields = {}
        self.retry_after = 0.0
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.domain == "configapi":
                self.reason = info.reason
                self.metadata = dict(info.metadata)
            bad = error_details_pb2.BadRequest()
            if detail.Unpack(bad):
                self.fields = {v.field: v.description for v in bad.field_violations}
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(retry):
                self.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        # An error of a proxy or of the library: nobody knows whether the server did it.
        self.is_foreign = self.reason is None

    @property
    def is_worth_repeating(self):
        return self.is_foreign or self.reason in (
            "LIMIT_EXCEEDED",
            "UNAVAILABLE",
            "OUTCOME_UNKNOWN",
            "DEADLINE_EXCEEDED",
        )


def send(call, request):
    """Sends a command, again and again if it must be. Its request id makes that safe."""
    request.request_id = request.request_id or str(uuid.uuid4())
    for attempt in range(MAX_ATTEMPTS):
        try:
            return call(request, timeout=CALL_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            refusal = Refusal(error)
            if not refusal.is_worth_repeating or attempt == MAX_ATTEMPTS - 1:
                raise
            time.sleep(max(refusal.retry_after, pause(attempt)))


def change(command_service, query_service, name, decide):
    """Changes a config to what `decide` makes of its value, with nobody's change in between."""
    for attempt in range(MAX_ROUNDS):
        newest = types.Consistency(linearizable=types.Consistency.Linearizable())
        request = queries.GetRequest(name=name, consistency=newest)
        config = query_service.Get(request, timeout=CALL_TIMEOUT_SECONDS).config
        request = commands.SetRequest(
            name=name, value=decide(config.value), expected_version=config.version
        )
        try:
            return send(command_service.Set, request).receipt
        except grpc.RpcError as error:
            if Refusal(error).reason != "VERSION_CONFLICT":
                raise
        time.sleep(pause(attempt) * random.random())
    raise TimeoutError(f"{name} was changed by others {MAX_ROUNDS} times in a row")


def follow(query_service, prefix, token):
    """Yields whole changes as (events, token), for ever. Keep the token with what you did."""
    attempt = 0
    while True:
        stream = query_service.Watch(queries.WatchRequest(prefix=prefix, after_token=token))
        # What belongs to a change that is not complete yet goes with its stream.
        pending = []
        try:
            for frame in frames(stream):
                attempt = 0
                pending += frame.events.events
                complete = [event for event in pending if event.position <= frame.position]
                pending = pending[len(complete) :]
                token = frame.token
                yield complete, token
        except grpc.RpcError as error:
            refusal = Refusal(error)
            is_cut = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            # LOG_CHANGED, above all: the token means nothing any more, so begin anew.
            if not refusal.is_worth_repeating or (refusal.is_foreign and not is_cut):
                raise
        finally:
            stream.cancel()
        time.sleep(pause(attempt))
        attempt += 1


def frames(stream):
    """The frames of a watch. It is cancelled if it shows no life."""
    while True:
        silence = threading.Timer(SILENCE_SECONDS, stream.cancel)
        silence.start()
        try:
            frame = next(stream, None)
        finally:
            silence.cancel()
        if frame is None:
            return
        yield frame


def pause(attempt):
    """How long to wait before trying again: longer each time, and not all at once."""
    longest = min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1)
