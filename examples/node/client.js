// What every client of ConfigApi needs on top of the code made from its proto files, in a page:
// reasons out of errors, commands that are safe to repeat, compare-and-set with retries, and a
// watch that misses nothing and tells nothing twice, whatever happens to its connection.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const CALL_TIMEOUT_MS = 5_000;
const MAX_ATTEMPTS = 5;
const MAX_ROUNDS = 50;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
// The server shows life every 10 seconds.
const SILENCE_MS = 25_000;

const HERE = fileURLToPath(new URL('.', import.meta.url));
// The contract, as it lies in the repository.
const PROTO = process.env.CONFIGAPI_PROTO ?? `${HERE}../../proto`;
const OPTIONS = {
  includeDirs: [HERE, PROTO],
  keepCase: true, // names as in the proto files
  longs: String, // positions are 64 bits wide, numbers of JavaScript are not
  enums: String,
  defaults: true,
  oneofs: true,
};
const FILES = [
  'configapi/v1/command_service.proto',
  'configapi/v1/query_service.proto',
  'google_rpc.proto',
];
const loaded = protoLoader.loadSync(FILES, OPTIONS);
const { configapi } = grpc.loadPackageDefinition(loaded);

export function connect(address) {
  const credentials = grpc.credentials.createInsecure();
  return {
    commands: new configapi.v1.CommandService(address, credentials),
    queries: new configapi.v1.QueryService(address, credentials),
  };
}

/** Calls a method that has one answer. */
export function call(client, method, request) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + CALL_TIMEOUT_MS;
    client[method](request, { deadline }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

/** An error as ConfigApi tells it: a reason for machines, and what goes with it. */
export function refusalOf(error) {
  const refusal = { reason: undefined, metadata: {}, fields: [], retryAfterMs: 0 };
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const status = bytes ? decode('Status', bytes) : { details: [] };
  for (const { type_url: url, value } of status.details) {
    const type = url.replace('type.googleapis.com/google.rpc.', '');
    if (type === 'ErrorInfo') {
      const info = decode(type, value);
      if (info.domain === 'configapi') Object.assign(refusal, info);
    } else if (type === 'BadRequest') {
      refusal.fields = decode(type, value).field_violations;
    } else if (type === 'RetryInfo') {
      const { seconds, nanos } = decode(type, value).retry_delay;
      refusal.retryAfterMs = Number(seconds) * 1_000 + nanos / 1e6;
    }
  }
  // An error of a proxy or of the library: nobody knows whether the server did it.
  refusal.isForeign = refusal.reason === undefined;
  refusal.isWorthRepeating =
    (refusal.isForeign && error.code !== undefined) ||
    ['LIMIT_EXCEEDED', 'UNAVAILABLE', 'OUTCOME_UNKNOWN', 'DEADLINE_EXCEEDED'].includes(
      refusal.reason,
    );
  return refusal;
}

function decode(type, bytes) {
  return loaded[`google.rpc.${type}`].deserialize(bytes);
}

/** Sends a command, again and again if it must be. Its request id makes that safe. */
export async function send(client, method, command) {
  const request = { request_id: randomUUID(), ...command };
  for (let attempt = 0; ; attempt++) {
    try {
      return await call(client, method, request);
    } catch (error) {
      const refusal = refusalOf(error);
      if (!refusal.isWorthRepeating || attempt === MAX_ATTEMPTS - 1) throw error;
      await sleep(Math.max(refusal.retryAfterMs, pause(attempt)));
    }
  }
}

/** Changes a config to what `decide` makes of its value, with nobody's change in between. */
export async function change({ commands, queries }, name, decide) {
  for (let attempt = 0; attempt < MAX_ROUNDS; attempt++) {
    const { config } = await call(queries, 'Get', { name, consistency: { linearizable: {} } });
    const request = { name, value: decide(config.value), expected_version: config.version };
    try {
      return (await send(commands, 'Set', request)).receipt;
    } catch (error) {
      if (refusalOf(error).reason !== 'VERSION_CONFLICT') throw error;
    }
    await sleep(pause(attempt) * Math.random());
  }
  throw new Error(`${name} was changed by others ${MAX_ROUNDS} times in a row`);
}

/** Yields whole changes as { events, token }, for ever. Keep the token with what you did. */
export async function* follow(queries, prefix, token) {
  for (let attempt = 0; ; attempt++) {
    const stream = queries.Watch({ prefix, after_token: token });
    // What belongs to a change that is not complete yet goes with its stream.
    let pending = [];
    let silence = setTimeout(() => stream.cancel(), SILENCE_MS);
    try {
      for await (const frame of stream) {
        silence.refresh();
        attempt = 0;
        pending.push(...(frame.events?.events ?? []));
        const isComplete = (event) => BigInt(event.position) <= BigInt(frame.position);
        const events = pending.filter(isComplete);
        pending = pending.slice(events.length);
        token = frame.token;
        yield { events, token };
      }
    } catch (error) {
      const refusal = refusalOf(error);
      const isCut = [grpc.status.UNAVAILABLE, grpc.status.CANCELLED, grpc.status.INTERNAL];
      // LOG_CHANGED, above all: the token means nothing any more, so begin anew.
      if (!refusal.isWorthRepeating) throw error;
      if (refusal.isForeign && !isCut.includes(error.code)) throw error;
    } finally {
      clearTimeout(silence);
      stream.cancel();
    }
    await sleep(pause(attempt));
  }
}

/** How long to wait before trying again: longer each time, and not all at once. */
function pause(attempt) {
  return Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
}
