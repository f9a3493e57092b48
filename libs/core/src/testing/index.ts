export {
  contractCase,
  freshName,
  runContract,
  type ContractCase,
  type ContractRunner,
} from './contract-case.js';
export * from './inbox/index.js';
export { FaultBoard, Gate } from './gates.js';
export { VirtualClock } from './virtual-clock.js';
export { EngineBench, type BenchEngineOptions, type LoggedLine } from './engine-bench.js';
export * from './sagas/index.js';
export {
  Program,
  type Behaviour,
  type Call,
  type ProgramOptions,
  type ProgramStep,
} from './program.js';
export * from './messaging/index.js';
export { RelayBench } from './relay-bench.js';
export { severable, type Severed } from './severable.js';
export { refusing, type Refusing } from './refusing.js';
export { ConsumerBench } from './consumer-bench.js';
export * from './random/index.js';
export * from './landing/index.js';
export * from './log/index.js';
export { SagaTest, sagaTest, type SagaTestResult } from './saga-test.js';
export { UnansweredCommandError } from './unanswered-command.error.js';
