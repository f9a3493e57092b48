import { InjectDataSource } from '@nestjs/typeorm';
import { Saga, SagaOf, SagaStep } from '@sagaz/nestjs';
import type { DataSource } from 'typeorm';
import { business } from './business.js';

// Sagas of two and of five steps, one after the other: their difference is three steps and nothing else.

@Saga({ name: 'plain-two', version: 1 })
export class PlainTwo extends SagaOf<number> {
  @SagaStep()
  async a(): Promise<void> {}
  @SagaStep({ dependsOn: ['a'] })
  async b(): Promise<void> {}
}

@Saga({ name: 'plain-five', version: 1 })
export class PlainFive extends SagaOf<number> {
  @SagaStep()
  async a(): Promise<void> {}
  @SagaStep({ dependsOn: ['a'] })
  async b(): Promise<void> {}
  @SagaStep({ dependsOn: ['b'] })
  async c(): Promise<void> {}
  @SagaStep({ dependsOn: ['c'] })
  async d(): Promise<void> {}
  @SagaStep({ dependsOn: ['d'] })
  async e(): Promise<void> {}
}

@Saga({ name: 'transactional-two', version: 1 })
export class TransactionalTwo extends SagaOf<number> {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {
    super();
  }

  @SagaStep({ transactional: true })
  a(): Promise<void> {
    return business(this.dataSource);
  }
  @SagaStep({ dependsOn: ['a'], transactional: true })
  b(): Promise<void> {
    return business(this.dataSource);
  }
}

@Saga({ name: 'transactional-five', version: 1 })
export class TransactionalFive extends SagaOf<number> {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {
    super();
  }

  @SagaStep({ transactional: true })
  a(): Promise<void> {
    return business(this.dataSource);
  }
  @SagaStep({ dependsOn: ['a'], transactional: true })
  b(): Promise<void> {
    return business(this.dataSource);
  }
  @SagaStep({ dependsOn: ['b'], transactional: true })
  c(): Promise<void> {
    return business(this.dataSource);
  }
  @SagaStep({ dependsOn: ['c'], transactional: true })
  d(): Promise<void> {
    return business(this.dataSource);
  }
  @SagaStep({ dependsOn: ['d'], transactional: true })
  e(): Promise<void> {
    return business(this.dataSource);
  }
}
