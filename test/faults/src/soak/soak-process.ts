import { fileURLToPath } from 'node:url';
import { WorkerProcess, type ProcessParts, type TcpProxy } from '../processes/index.js';
import type { ProcessLog } from './process-log.js';
import type { Report, Request, Role, WorkerPlan } from './worker-plan.js';

const SCRIPT = fileURLToPath(new URL('worker.js', import.meta.url));

export interface SoakProcessParts extends Required<
  Pick<ProcessParts<Report>, 'name' | 'hear' | 'endedByItself'>
> {
  readonly role: Role;
  /** Never killed, so that what grows in it goes on growing. It is frozen and cut off like the others. */
  readonly spared: boolean;
  readonly log: ProcessLog;
  readonly store: TcpProxy;
  readonly broker: TcpProxy;
  readonly storeUrl: string;
  readonly brokerUrl: string;
}

/** A worker of the soak behind its two proxies. */
export class SoakProcess extends WorkerProcess<Request, Report> {
  constructor(readonly parts: SoakProcessParts) {
    const { role, name, store, broker, log, hear, endedByItself } = parts;
    const plan: WorkerPlan = {
      role,
      name,
      storeUrl: store.through(parts.storeUrl),
      brokerUrl: broker.through(parts.brokerUrl),
    };
    super({ name, script: SCRIPT, plan, nodeOptions: ['--expose-gc'], log, hear, endedByItself });
  }

  get role(): Role {
    return this.parts.role;
  }
}
