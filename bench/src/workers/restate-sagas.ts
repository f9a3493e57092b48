import { createServer } from 'node:http2';
import * as restate from '@restatedev/restate-sdk';
import { connect } from '@restatedev/restate-sdk-clients';
import { answer } from '../child.js';
import { processMicros } from '../cost.js';
import { drive } from '../measure.js';
import { RestateServer } from '../restate.js';
import { quantile } from '../statistics.js';
import type { SagaCost, SagaRun } from './sagaz-sagas.js';

const threeSteps = restate.service({
  name: 'ThreeSteps',
  handlers: {
    run: async (ctx: restate.Context, _index: number): Promise<number> => {
      const first = await ctx.run('first', () => Promise.resolve(1));
      const second = await ctx.run('second', () => Promise.resolve(first + 1));
      return ctx.run('third', () => Promise.resolve(second + 1));
    },
  },
});

process.once('disconnect', () => process.exit(1));

await answer(async ({ inFlight, count }: Omit<SagaRun, 'url'>): Promise<SagaCost> => {
  const handler = restate.createEndpointHandler({
    services: [threeSteps],
    logger: () => undefined,
  });
  const endpoint = createServer(handler);
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  const address = endpoint.address();
  if (typeof address !== 'object' || address === null) throw new Error('No port is free.');
  const server = await RestateServer.start();
  try {
    await server.register(`http://127.0.0.1:${String(address.port)}`);
    const client = connect({ url: server.ingress }).serviceClient(threeSteps);
    const durations: number[] = [];
    const one = async (index: number): Promise<void> => {
      const began = performance.now();
      await client.run(index);
      durations.push(performance.now() - began);
    };
    await drive(Math.min(count, 2 * inFlight + 200), inFlight, one);
    durations.length = 0;
    const serverBefore = await processMicros(server.pid);
    const before = process.cpuUsage();
    const ms = await drive(count, inFlight, one);
    const { user, system } = process.cpuUsage(before);
    const serverAfter = await processMicros(server.pid);
    return {
      perSecond: (count / ms) * 1000,
      p50: quantile(durations, 0.5),
      cost: {
        own: (user + system) / count,
        server:
          serverBefore === null || serverAfter === null
            ? null
            : (serverAfter - serverBefore) / count,
      },
    };
  } finally {
    await server.stop();
  }
});
