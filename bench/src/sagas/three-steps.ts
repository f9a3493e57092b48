import {
  Saga,
  SagaEngine,
  SagaOf,
  SagaRegistry,
  SagaStep,
  StepResult,
  type Store,
} from '@sagaz/core';
import { quietLogger } from '../store.js';

@Saga({ name: 'three-steps', version: 1, output: 'third' })
export class ThreeSteps extends SagaOf<number, number> {
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

/** An engine that runs these sagas. */
export async function threeStepsEngine(store: Store): Promise<SagaEngine> {
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
  return engine;
}
