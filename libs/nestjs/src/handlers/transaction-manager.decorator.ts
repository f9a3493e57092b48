import { AsyncLocalStorage } from 'node:async_hooks';
import { createParamDecorator } from '@nestjs/common';
import { TransactionManager as StepTransactionManager } from '@sagaz/core';
import type { EntityManager } from 'typeorm';

const handling = new AsyncLocalStorage<EntityManager | undefined>();

/**
 * Runs `work` with the manager of a message's transaction, which {@link TransactionManager} then
 * injects.
 */
export function inHandlerTransaction<T>(manager: EntityManager | undefined, work: () => T): T {
  return handling.run(manager, work);
}

const HandlerTransactionManager = createParamDecorator(() => handling.getStore());

/**
 * The `EntityManager` of the transaction that a transactional step or a message handler works in.
 * Rarely needed: repositories join the transaction by themselves.
 */
export function TransactionManager() {
  const ofStep = StepTransactionManager();
  const ofHandler = HandlerTransactionManager();
  return <T extends object, K extends keyof T & string>(target: T, key: K, index: number): void => {
    ofStep(target, key, index);
    ofHandler(target, key, index);
  };
}
