// A process that handles one message, and kills itself should it reach the fault point `killAt`. Its
// argument is JSON: { url, group, attempt, killAt, message (payload in base64) }.
import { InboxProcessor, jsonCodec, storeUnit, systemClock } from '@sagaz/core';
import { postgres } from '@sagaz/postgres';

const { url, group, attempt: delivery, killAt, message } = JSON.parse(process.argv[2]);
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const store = await postgres({ url }).create({ service: 'inventory', logger, clock: systemClock });
const unit = storeUnit(store);

const processor = new InboxProcessor({
  ...store,
  service: 'inventory',
  clock: systemClock,
  logger,
  // The dead process's transaction ends when the server sees its socket closed.
  waitMs: 10_000,
  faults: {
    reach: (reached) => {
      if (reached === killAt) process.kill(process.pid, 'SIGKILL');
    },
  },
});
const outcome = await processor.receive(
  {
    message: { ...message, payload: Buffer.from(message.payload, 'base64') },
    group,
    attempt: delivery,
    signal: new AbortController().signal,
  },
  {
    group,
    type: message.type,
    retry: { attempts: 3, backoffMs: 10, factor: 2, maxDelayMs: 100, jitter: 0 },
    codec: jsonCodec,
  },
  (attempt) => {
    const open = {};
    return attempt.run(
      {
        run: (body) =>
          unit.run((transaction, publish) => {
            open.transaction = transaction;
            return body(transaction, publish);
          }),
      },
      async () => {
        await open.transaction.query({
          text: 'INSERT INTO effect (entry) VALUES ($1)',
          values: [JSON.stringify(`effect ${message.id}`)],
        });
        return 'handled';
      },
    );
  },
);
await store.close();
process.exit(outcome.kind === 'done' ? 0 : 1);
