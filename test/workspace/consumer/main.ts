// The smallest application that uses all of Sagaz: copied out of the repository, compiled and run
// against the packed packages, as an ES module on Nest 12 and as CommonJS on Nest 11.
import 'reflect-metadata';
import { Controller, Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { ClsPluginTransactional, Transactional } from '@nestjs-cls/transactional';
import {
  connectSagaz,
  defineEvent,
  IdempotentHandler,
  Outbox,
  Saga,
  Sagas,
  SagaInput,
  SagaOf,
  SagaStep,
  SagazModule,
  SagazTypeOrmAdapter,
} from '@sagaz/nestjs';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { ClsModule } from 'nestjs-cls';
import { Column, DataSource, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';

interface Written {
  readonly id: string;
}

const NoteWritten = defineEvent<Written>()('note.written');

@Entity()
class Note {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column('text')
  text!: string;
}

@Injectable()
class CustomNotes extends Repository<Note> {
  constructor(dataSource: DataSource) {
    super(Note, dataSource.createEntityManager());
  }
}

@Injectable()
class Notes {
  /** Opened when the failed transaction is over. */
  readonly over: { open: () => void; promise: Promise<void> } = gateOf();
  late: Promise<unknown> | undefined;

  constructor(
    @InjectRepository(Note) private readonly notes: Repository<Note>,
    private readonly custom: CustomNotes,
    private readonly dataSource: DataSource,
    private readonly outbox: Outbox,
  ) {}

  @Transactional()
  async write(text: string): Promise<Written> {
    const { id } = await this.notes.save({ text });
    await this.outbox.publish(NoteWritten, { id }, { key: id });
    return { id };
  }

  @Transactional()
  async writeAndFail(text: string): Promise<void> {
    await this.write(text);
    await this.custom.insert({ text });
    await this.custom.createQueryBuilder().insert().values({ text }).execute();
    await this.dataSource.query('INSERT INTO note (text) VALUES ($1)', [text]);
    await this.dataSource.transaction((manager) => manager.insert(Note, { text }));
    const runner = this.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Note, { text });
    await runner.commitTransaction();
    await runner.release();
    this.late = this.over.promise.then(() => this.custom.insert({ text }));
    throw new Error('undo this');
  }

  count(): Promise<number> {
    return this.notes.count();
  }
}

@Saga({ name: 'write-note', output: 'write' })
@Injectable()
class WriteNoteSaga extends SagaOf<{ text: string }, Written> {
  constructor(private readonly notes: Notes) {
    super();
  }

  @SagaStep({ transactional: true })
  write(@SagaInput() input: { text: string }): Promise<Written> {
    return this.notes.write(input.text);
  }
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

function gateOf(): { open: () => void; promise: Promise<void> } {
  let open: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { open: () => open(), promise };
}

let heard: (ids: ReadonlySet<string>) => void = () => undefined;
const ids = new Set<string>();

@Controller()
class Reader {
  @IdempotentHandler(NoteWritten, { group: 'reader' })
  on(event: Written): void {
    ids.add(event.id);
    heard(ids);
  }
}

function appModule(url: string): Type {
  @Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url, entities: [Note], synchronize: true }),
      TypeOrmModule.forFeature([Note]),
      ClsModule.forRoot({
        plugins: [
          new ClsPluginTransactional({
            imports: [TypeOrmModule],
            adapter: new SagazTypeOrmAdapter(),
          }),
        ],
      }),
      SagazModule.forRoot({ service: 'notes', store: postgres(), broker: postgresBroker() }),
    ],
    controllers: [Reader],
    providers: [Notes, CustomNotes, WriteNoteSaga],
  })
  class AppModule {}
  return AppModule;
}

async function main(): Promise<void> {
  const url = process.env.DATABASE_URL;
  if (url === undefined) throw new Error('DATABASE_URL names no database.');
  const app = await NestFactory.create(appModule(url), { logger: ['error', 'fatal'] });
  connectSagaz(app);
  await app.startAllMicroservices();
  await app.init();
  const notes = app.get(Notes);
  const arrived = new Promise<void>((resolve) => {
    heard = (all) => {
      if (all.size === 2) resolve();
    };
  });
  const written = await notes.write('first');
  await notes.writeAndFail('never').catch(() => console.log('rolled back'));
  notes.over.open();
  await notes.late?.catch((error: unknown) => console.log(`late: ${codeOf(error)}`));
  const handle = await app.get(Sagas).start(WriteNoteSaga, { text: 'second' });
  const { id } = await handle.result({ timeout: '30s' });
  await arrived;
  console.log(`heard both: ${String(ids.has(written.id) && ids.has(id))}`);
  console.log(`notes: ${String(await notes.count())}`);
  await app.close();
  console.log('closed');
}

void main();
