import { fileURLToPath } from 'node:url';
import { WorkerProcess, type ProcessParts, type TcpProxy } from '../processes/index.js';
import type { Report, Request, Role, WorkerPlan } from './worker-plan.js';

const SCRIPT = fileURLToPath(new URL('worker.js', import.meta.url));

export interface SoakProcessParts extends Pick<ProcessParts<Report>, 'name' | 'log' | 'hear'> {
  readonly role: Role;
  readonly store: TcpProxy;
  readonly broker: TcpProxy;
  readonly storeUrl: string;
  readonly brokerUrl: string;
}

/** A worker of the soak behind its two proxies. */
export class SoakProcess extends WorkerProcess<Request, Report> {
  constructor(readonly parts: SoakProcessParts) {
    const { role, name, store, broker, log, hear } = parts;
    const plan: WorkerPlan = {
      role,
      name,
      storeUrl: store.through(parts.storeUrl),
      brokerUrl: broker.through(parts.brokerUrl),
    };
    super({ name, script: SCRIPT, plan, nodeOptions: ['--expose-gc'], log, hear });
  }

  get role(): Role {
    return this.parts.role;
  }
}
