import { Saga, SagaEngine, SagaOf, SagaRegistry, SagaStep, StepResult } from '@sagaz/core';
import { answer } from '../child.js';
import { withCost, type Cost } from '../cost.js';
import { drive } from '../measure.js';
import { quantile } from '../statistics.js';
import { openStore, quietLogger } from '../store.js';

export interface SagaRun {
  readonly url: string;
  readonly inFlight: number;
  readonly count: number;
}
export interface SagaRate {
  readonly perSecond: number;
  readonly p50: number;
}
/** With the processor time that each saga took. */
export interface SagaCost extends SagaRate {
  readonly cost: Cost;
}

@Saga({ name: 'three-steps', version: 1, output: 'third' })
class ThreeSteps extends SagaOf<number, number> {
  @SagaStep()
  first(): Promise<number> {
    return Promise.resolve(1);
  }

  @SagaStep({ dependsOn: ['first'] })
  second(@StepResult('first') n: number): Promise<number> {
    return Promise.resolve(n + 1);
  }

  @SagaStep({ dependsOn: ['second'] })
  third(@StepResult('second') n: number): Promise<number> {
    return Promise.resolve(n + 1);
  }
}

await answer(async ({ url, inFlight, count }: SagaRun): Promise<SagaCost> => {
  const store = await openStore(url);
  const registry = new SagaRegistry();
  registry.add(ThreeSteps);
  const instance = new ThreeSteps();
  const engine = new SagaEngine({
    service: 'bench',
    store,
    definitions: registry.all(),
    resolve: () => instance,
    logger: quietLogger,
  });
  await engine.run();
  const durations: number[] = [];
  const one = async (index: number): Promise<void> => {
    const began = performance.now();
    const handle = await engine.start(ThreeSteps, index);
    await handle.result({ timeout: '60s' });
    durations.push(performance.now() - began);
  };
  await drive(Math.min(count, 2 * inFlight + 200), inFlight, one); // Warm: plans, caches, compiler.
  durations.length = 0;
  const { value: ms, cost } = await withCost(url, count, () => drive(count, inFlight, one));
  await engine.close();
  await store.close();
  return { perSecond: (count / ms) * 1000, p50: quantile(durations, 0.5), cost };
});
