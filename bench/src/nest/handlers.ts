import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { IdempotentHandler, TransactionManager } from '@sagaz/nestjs';
import type { DataSource } from 'typeorm';
import { business, type Queries } from './business.js';
import { BenchHappened, type Happened } from './happened.js';

export const BARE = 'bare';
export const PLAIN_ID = 'plain-id';

/** The application's connections without Sagaz; set before a message is handled without an inbox. */
export const without: { dataSource: DataSource | null } = { dataSource: null };

function dataSource(): DataSource {
  if (without.dataSource === null) throw new Error('There is no DataSource without Sagaz.');
  return without.dataSource;
}

/** The same handler three times: alone, with the least that remembers a message, and behind the inbox. */
@Controller()
export class Handlers {
  @EventPattern(BARE)
  async bare(@Payload() _payload: Happened): Promise<void> {
    await dataSource().transaction((manager) => business(manager));
  }

  @EventPattern(PLAIN_ID)
  async plainId(@Payload() { id }: Happened & { readonly id: string }): Promise<void> {
    await dataSource().transaction(async (manager) => {
      await manager.query('INSERT INTO seen (id) VALUES ($1)', [id]);
      await business(manager);
    });
  }

  @IdempotentHandler(BenchHappened)
  async inbox(
    @Payload() _payload: Happened,
    @TransactionManager() manager: Queries,
  ): Promise<void> {
    await business(manager);
  }
}
