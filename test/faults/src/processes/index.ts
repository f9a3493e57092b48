export { endWithParent, tellParent, workerLogger } from './child-end.js';
export { inTurn } from './in-turn.js';
export { TcpProxy } from './tcp-proxy.js';
export { WorkerProcess, type ProcessParts } from './worker-process.js';
