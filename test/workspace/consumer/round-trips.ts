// Counts the round trips of transactions at the socket: copied out of the repository as main.ts is, with
// the proxy beside it.
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { ClsPluginTransactional, Transactional } from '@nestjs-cls/transactional';
import { defineEvent, Outbox, SagazModule, SagazTypeOrmAdapter } from '@sagaz/nestjs';
import { postgres } from '@sagaz/postgres';
import { CountingProxy } from '@sagaz/test-support';
import { ClsModule } from 'nestjs-cls';
import { Column, DataSource, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';

const NoteWritten = defineEvent<{ readonly id: string }>()('note.written');

@Entity()
class Note {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column('text')
  text!: string;
}

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) private readonly notes: Repository<Note>,
    private readonly outbox: Outbox,
  ) {}

  @Transactional()
  async write(messages: number): Promise<void> {
    await this.notes.insert({ text: 'text' });
    for (let n = 0; n < messages; n += 1) {
      await this.outbox.publish(NoteWritten, { id: String(n) }, { key: String(n) });
    }
  }

  /** Publishes a message that the database refuses. */
  @Transactional()
  async writeRefused(): Promise<void> {
    await this.notes.insert({ text: 'text' });
    await this.notes.query("ALTER TABLE sagaz.message ADD CHECK (key <> 'refused') NOT VALID");
    await this.outbox.publish(NoteWritten, { id: 'x' }, { key: 'refused' });
  }

  count(): Promise<number> {
    return this.notes.count();
  }
}

async function main(): Promise<void> {
  const { DATABASE_URL } = process.env;
  if (DATABASE_URL === undefined) throw new Error('DATABASE_URL names no database.');
  const proxy = await CountingProxy.before(DATABASE_URL);
  const { url } = proxy;
  const entities = [Note];

  @Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url, entities, synchronize: true, poolSize: 2 }),
      TypeOrmModule.forFeature(entities),
      ClsModule.forRoot({
        plugins: [
          new ClsPluginTransactional({
            imports: [TypeOrmModule],
            adapter: new SagazTypeOrmAdapter(),
          }),
        ],
      }),
      SagazModule.forRoot({
        service: 'notes',
        store: postgres(),
        roles: { engine: false, relay: false, consume: false },
      }),
    ],
    providers: [Notes],
  })
  class AppModule {}

  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'fatal'] });
  const notes = app.get(Notes);
  const bare = await new DataSource({ type: 'postgres', url, entities, poolSize: 1 }).initialize();
  const withoutSagaz = (): Promise<unknown> =>
    bare.transaction((manager) => manager.insert(Note, { text: 'text' }));
  const before = await notes.count();
  // The first transactions of a connection ask whether it keeps its prepared statements.
  for (let n = 0; n < 2; n += 1) await notes.write(3);
  await withoutSagaz();
  console.log(`without Sagaz: ${String(await proxy.during(withoutSagaz))}`);
  for (const messages of [0, 1, 3]) {
    const count = await proxy.during(() => notes.write(messages));
    console.log(`with ${String(messages)} messages: ${String(count)}`);
  }
  await notes.writeRefused().catch((error: unknown) => {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
    console.log(`refused: ${String(code)}`);
  });
  console.log(`notes: ${String((await notes.count()) - before)}`);
  await bare.destroy();
  await app.close();
  await proxy.close();
}

void main();
