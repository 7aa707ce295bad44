/** A sentence about every storage driver, and how it is tried. */
import { assertInstanceOf, AssertionError } from "@std/assert";
import { type ErrorCode, LaminaError } from "../../../runtime/core/errors.ts";
import type { DriverFixture } from "./driver_fixture.ts";

/** One case of the contract. */
export interface ContractCase {
  /** A sentence about "a driver", without its subject's name. */
  readonly name: string;
  /** What a user namespace or a driver may lack; then the case is ignored and says so. */
  readonly needs?: "device nodes" | "file capabilities" | "overlay" | "directories";
  readonly run: (fixture: DriverFixture) => Promise<void>;
}

/** The error that `body` fails with, which must have `code`. */
export async function assertFails(code: ErrorCode, body: () => Promise<unknown>): Promise<LaminaError> {
  try {
    await body();
  } catch (error) {
    assertInstanceOf(error, LaminaError, `expected ${code}, got ${error}`);
    if (error.code !== code) throw new AssertionError(`expected ${code}, got ${error.code}: ${error.message}`);
    return error;
  }
  throw new AssertionError(`expected ${code}, but it succeeded`);
}
