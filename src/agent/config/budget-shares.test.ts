import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.ts";
import { budgetSharesOf } from "./budget-shares.ts";
import { storeDefaults } from "./config.ts";

test("the shares are the budget, whatever it is, and the tables have their least", () => {
  const least =
    limits.logBytesMax + limits.kvBytesMin + limits.reserveBytes + limits.tablesBytesMin;
  fc.assert(
    fc.property(fc.integer({ min: least, max: 2 ** 44 }), (budgetBytes) => {
      const config = { store: { ...storeDefaults, budgetBytes }, logBytesMax: limits.logBytesMax };
      const shares = budgetSharesOf(config);
      const shared = shares.logBytes + shares.stateBytes + shares.tablesBytes;
      assert.equal(shared + limits.reserveBytes, budgetBytes);
      assert.ok(shares.tablesBytes >= limits.tablesBytesMin);
      assert.ok(shares.stateBytes >= limits.kvBytesMin && shares.stateBytes <= limits.kvBytesMax);
      assert.ok(shares.outboxBytes <= shares.stateBytes / 2);
    }),
  );
});

test("a set outbox is what it says, and the state has twice as much", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: limits.outboxBytesMin, max: limits.outboxBytesMax }),
      (outboxBytes) => {
        const store = { ...storeDefaults, outboxBytes };
        const shares = budgetSharesOf({ store, logBytesMax: limits.logBytesMax });
        assert.equal(shares.outboxBytes, outboxBytes);
        assert.ok(shares.stateBytes >= 2 * outboxBytes && shares.stateBytes <= limits.kvBytesMax);
        assert.equal(
          shares.logBytes + shares.stateBytes + shares.tablesBytes + limits.reserveBytes,
          storeDefaults.budgetBytes,
        );
      },
    ),
  );
});
