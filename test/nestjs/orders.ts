import { defineEvent } from '@sagaz/core';
import { recordMessage } from '@sagaz/nestjs';
import { Column, Entity, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm';

export interface OrderFact {
  readonly id: string;
}
export const OrderPlaced = defineEvent<OrderFact>()('order.placed');
export const OrderTouched = defineEvent<OrderFact>()('order.touched');
/** How many payloads the schema below has let through. */
export const checks = { done: 0 };
export const OrderChecked = defineEvent<OrderFact>()('order.checked', {
  payload: {
    '~standard': {
      version: 1,
      vendor: 'test',
      // As slow as a schema that asks somebody.
      validate: async (value) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        checks.done += 1;
        return { value: value as OrderFact };
      },
    },
  },
});
export const LineAdded = defineEvent<OrderFact>()('line.added');

@Entity({ name: 'orders' })
export class Order {
  @PrimaryColumn('text')
  id!: string;

  @Column('text', { default: 'new' })
  status = 'new';

  @OneToMany(() => Line, (line) => line.order, { cascade: true })
  lines?: Relation<Line[]>;

  static place(id: string): Order {
    const order = new Order();
    order.id = id;
    recordMessage(order, OrderPlaced, { id }, { key: id });
    return order;
  }

  /** Changes no column. */
  touch(): void {
    recordMessage(this, OrderTouched, { id: this.id }, { key: this.id });
  }
}

/** No module asks for its repository. */
@Entity({ name: 'notes' })
export class Note {
  @PrimaryColumn('text')
  id!: string;
}

@Entity({ name: 'lines' })
export class Line {
  @PrimaryColumn('text')
  id!: string;

  @ManyToOne(() => Order, (order) => order.lines)
  order?: Relation<Order>;
}
