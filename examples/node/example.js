// A tour of ConfigApi from Node; scripts/examples runs it and checks what it prints. Where the
// servers are: CONFIGAPI_COMMAND_ADDR, CONFIGAPI_QUERY_ADDR, CONFIGAPI_WATCH_ADDR.

import { call, change, connect, follow, refusalOf, send } from './client.js';

const INCREMENTS = 20;
const SINGLE_CHANGES = 100;
const CHANGES_AS_ONE = 600;

const { commands } = connect(process.env.CONFIGAPI_COMMAND_ADDR);
const { queries } = connect(process.env.CONFIGAPI_QUERY_ADDR);
const watched = connect(process.env.CONFIGAPI_WATCH_ADDR).queries;

await setAndGet();
await readErrors();
await compareAndSet();
await watchAndResume();
process.exit(0);

async function setAndGet() {
  const name = 'node/greeting';
  const request = { name, value: 'hello', actor: 'ada', reason: 'the tour' };
  const { receipt } = await send(commands, 'Set', request);
  // Whichever server answers, it answers with this write or a later one.
  const consistency = { at_least_token: receipt.token };
  const { config } = await call(queries, 'Get', { name, consistency });
  console.log(`get: ${config.value} at version ${config.version}`);
}

async function readErrors() {
  const requests = [
    { name: 'not a name', value: 'x' },
    { name: 'node/greeting', value: 'x', expected_version: 7 },
  ];
  for (const request of requests) {
    try {
      await send(commands, 'Set', request);
    } catch (error) {
      const { reason, fields, metadata } = refusalOf(error);
      console.log(`refused: ${reason}`);
      for (const { field, description } of fields) console.log(`  ${field} ${description}`);
      for (const key of ['expected_version', 'actual_version']) {
        if (key in metadata) console.log(`  ${key} is ${metadata[key]}`);
      }
    }
  }
}

async function compareAndSet() {
  const name = 'node/counter';
  await send(commands, 'Set', { name, value: '0' });
  const incrementOften = async () => {
    let last;
    for (let count = 0; count < INCREMENTS; count++) {
      last = await change({ commands, queries }, name, (text) => String(Number(text) + 1));
    }
    return last;
  };
  const receipts = await Promise.all([incrementOften(), incrementOften()]);
  const last = receipts.sort((a, b) => Number(b.version) - Number(a.version))[0];
  const consistency = { at_least_token: last.token };
  const { config } = await call(queries, 'Get', { name, consistency });
  console.log(`counted: ${config.value} by 2 writers, version ${config.version}`);
}

async function watchAndResume() {
  const prefix = 'node/watched/';
  const { receipt } = await send(commands, 'Set', { name: 'node/start', value: '' });
  const writing = writeWhatIsWatched(prefix);
  const seen = [];
  // The connection breaks again and again; scripts/examples sees to that.
  for await (const { events } of follow(watched, prefix, receipt.token)) {
    seen.push(...events.map((event) => event.position));
    if (events.some((event) => event.value_set?.value === 'the end')) break;
  }
  const isSame = seen.join() === (await writing).join();
  const verdict = isSame ? 'exactly those written' : 'NOT those written';
  console.log(`watched: ${seen.length} events, ${verdict}`);
}

/** Writes singly and many at once, and returns the positions. */
async function writeWhatIsWatched(prefix) {
  const positions = [];
  const single = async (value) => {
    const { receipt } = await send(commands, 'Set', { name: `${prefix}single`, value });
    positions.push(receipt.position);
  };
  for (let number = 0; number < SINGLE_CHANGES; number++) await single(String(number));
  const many = Array.from({ length: CHANGES_AS_ONE }, (_, number) => ({
    name: `${prefix}${number}`,
    set: { value: 'x'.repeat(100) },
  }));
  const { receipts } = await send(commands, 'Apply', { commands: many });
  positions.push(...receipts.map((receipt) => receipt.position));
  await single('the end');
  return positions;
}
