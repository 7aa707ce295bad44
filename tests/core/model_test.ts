/** The types of the library and the schemas of the API say the same: a difference does not compile. */
import { assert } from "@std/assert";
import type * as z from "zod";
import type * as containerModel from "../../runtime/core/model/container.ts";
import type * as imageModel from "../../runtime/core/model/image.ts";
import type * as systemModel from "../../runtime/core/model/system.ts";
import type * as unionModel from "../../runtime/core/model/union.ts";
import type * as volumeModel from "../../runtime/core/model/volume.ts";
import type * as workloadModel from "../../runtime/core/model/workload.ts";
import type * as containers from "../../runtime/core/specs/container.ts";
import type * as images from "../../runtime/core/specs/image.ts";
import type * as migrations from "../../runtime/core/specs/migrate.ts";
import type * as system from "../../runtime/core/specs/system.ts";
import type * as unions from "../../runtime/core/specs/union.ts";
import type * as volumes from "../../runtime/core/specs/volume.ts";
import type * as workloads from "../../runtime/core/specs/workload.ts";

/** Without the brands of identifiers, and in one form however it was written. */
type Plain<T> = T extends string ? (string extends T ? string : T extends { [z.$brand]: unknown } ? string : T)
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;

/** The very same type: two optional fields of different names would stand for each other, but are not the same. */
type Same<A, B> = (<T>() => T extends Plain<A> ? 1 : 2) extends (<T>() => T extends Plain<B> ? 1 : 2) ? true : false;

// The left side of each is what a schema gives or takes, the right side what the library promises.
const same: {
  container: Same<containers.Container, containerModel.Container>;
  containerSummary: Same<containers.ContainerSummary, containerModel.ContainerSummary>;
  containerRequest: Same<z.input<typeof containers.ContainerCreate>, containerModel.ContainerRequest>;
  change: Same<containers.ContainerChange, containerModel.ContainerChange>;
  pathStat: Same<containers.PathStat, containerModel.PathStat>;
  update: Same<z.input<typeof containers.ContainerUpdate>, containerModel.UpdateRequest>;
  commit: Same<z.input<typeof containers.ContainerCommit>, containerModel.CommitRequest>;
  image: Same<images.Image, imageModel.Image>;
  summary: Same<images.ImageSummary, imageModel.ImageSummary>;
  imported: Same<images.ImportResult, imageModel.ImportResult>;
  removal: Same<images.RemovalResult, imageModel.RemovalResult>;
  format: Same<images.ExportFormat, imageModel.ExportFormat>;
  compression: Same<images.ExportCompression, imageModel.ExportCompression>;
  volume: Same<volumes.Volume, volumeModel.Volume>;
  union: Same<unions.Union, unionModel.Union>;
  volumeStatus: Same<workloads.VolumeStatus, workloadModel.VolumeStatus>;
  operationStatus: Same<workloads.OperationStatus, workloadModel.OperationStatus>;
  unionRequest: Same<z.input<typeof unions.UnionCreate>, unionModel.UnionRequest>;
  volumeRequest: Same<z.input<typeof volumes.VolumeCreate>, volumeModel.VolumeRequest>;
  event: Same<system.Event, systemModel.Event>;
  info: Same<system.Info, systemModel.Info>;
  usage: Same<system.DiskUsage, systemModel.DiskUsage>;
  migrationRequest: Same<z.input<typeof migrations.MigrationRequest>, systemModel.MigrationRequest>;
  migration: Same<migrations.MigrationResult, systemModel.MigrationResult>;
  check: Same<system.CheckResult, systemModel.CheckResult>;
  doctor: Same<system.DoctorItem, systemModel.DoctorItem>;
} = {
  container: true,
  containerSummary: true,
  containerRequest: true,
  change: true,
  pathStat: true,
  update: true,
  commit: true,
  image: true,
  summary: true,
  imported: true,
  removal: true,
  format: true,
  compression: true,
  union: true,
  volumeStatus: true,
  operationStatus: true,
  unionRequest: true,
  volume: true,
  volumeRequest: true,
  event: true,
  info: true,
  usage: true,
  migrationRequest: true,
  migration: true,
  check: true,
  doctor: true,
};

Deno.test("the library's types are those of the API's schemas", () => {
  assert(Object.values(same).every(Boolean));
});
