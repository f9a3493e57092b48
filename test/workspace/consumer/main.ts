// The smallest application that uses all of Sagaz: copied out of the repository, compiled and run
// against the packed packages, as an ES module on Nest 12 and as CommonJS on Nest 11.
import 'reflect-metadata';
import { Controller, Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { ClsPluginTransactional, Transactional } from '@nestjs-cls/transactional';
import { defineEvent } from '@sagaz/core';
import {
  connectSagaz,
  IdempotentHandler,
  Outbox,
  SagazModule,
  SagazTypeOrmAdapter,
} from '@sagaz/nestjs';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { ClsModule } from 'nestjs-cls';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';

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
class Notes {
  constructor(
    @InjectRepository(Note) private readonly notes: Repository<Note>,
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
    throw new Error('undo this');
  }

  count(): Promise<number> {
    return this.notes.count();
  }
}

@Controller()
class Reader {
  @IdempotentHandler(NoteWritten, { group: 'reader' })
  on(event: Written): string {
    return event.id;
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
    providers: [Notes],
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
  await notes.write('first');
  await notes.writeAndFail('never').catch(() => console.log('rolled back'));
  await notes.write('second');
  console.log(`notes: ${String(await notes.count())}`);
  await app.close();
  console.log('closed');
}

void main();
