/** Grey bars where records and their page will be, so that nothing moves when they come. */
import { Skeleton, VisuallyHidden } from "@mantine/core";
import { records as words } from "../messages";
import classes from "./records.module.css";

/** As many as fit any window; the rest is cut off. */
const SKELETON_ROWS = 40;

/** The whole page before the server's objects are known. */
export function SkeletonPage() {
  return (
    <section className={classes.page} aria-busy>
      <div className={classes.head}>
        <Skeleton h={20} w={96} />
      </div>
      <div className={classes.body}>
        <div className={classes.skeletonRow} aria-hidden />
        <div className={classes.over}>
          <SkeletonRows />
        </div>
      </div>
      <footer className={classes.foot} />
    </section>
  );
}

/** The rows of a table whose records are being loaded. Bars of different lengths look like text. */
export function SkeletonRows() {
  return (
    <div data-testid="skeleton-rows">
      <VisuallyHidden>{words.loading}</VisuallyHidden>
      {Array.from({ length: SKELETON_ROWS }, (_, index) => (
        <div key={index} className={classes.skeletonRow} aria-hidden>
          <Skeleton h={12} w={16} />
          <Skeleton h={12} w={120 + ((index * 37) % 60)} />
          <Skeleton h={12} w={160 + ((index * 53) % 60)} />
          <Skeleton h={12} w={100 + ((index * 29) % 60)} />
        </div>
      ))}
    </div>
  );
}
