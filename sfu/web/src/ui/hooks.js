import { useEffect, useReducer, useRef, useState } from 'preact/hooks';

/** Render again whenever `target` says that it changed. */
export function useChanges(target, event = 'change') {
  const [, again] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    if (!target) return undefined;
    target.addEventListener(event, again);
    return () => target.removeEventListener(event, again);
  }, [target, event]);
}

/** For the heading or first field of a screen: it takes the focus when the screen comes, and the window its name. */
export function useScreen(title, again) {
  const first = useRef(null);
  useEffect(() => first.current.focus(), [again]);
  useEffect(() => {
    document.title = `${title} · Meet`;
  }, [title]);
  return first;
}

/** A promise's progress for a form: [busy, problem, run]. `run` answers what the promise gave, or undefined. */
export function useAttempt(describe) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const running = useRef(false);
  const run = async (work) => {
    if (running.current) return undefined;
    running.current = true;
    setBusy(true);
    setProblem(null);
    try {
      return await work();
    } catch (error) {
      setProblem(describe(error));
      return undefined;
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return [busy, problem, run];
}
