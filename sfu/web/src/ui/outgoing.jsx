import { useEffect, useRef, useState } from 'preact/hooks';

const RECORDING = 'Recording';
const PAUSED = 'Recording paused';
const LIVE = 'Live stream';

/** What leaves the room now, in words: `Recording`, `Live stream`… */
function leaving({ recordings, streams }) {
  const kept = [...recordings.values()];
  const words = kept.length ? [kept.some(({ paused }) => !paused) ? RECORDING : PAUSED] : [];
  return streams.size ? [...words, LIVE] : words;
}

/** That the room is recorded or streamed: seen by everybody in it, and said to who listens to the page. */
export function Leaving({ call }) {
  const words = leaving(call);
  const before = useRef(false);
  const [news, setNews] = useState('');
  useEffect(() => {
    if (words.length) setNews(`${words.join(', ')}.`);
    else if (before.current) setNews('Nothing is recorded or streamed any more.');
    before.current = words.length > 0;
  }, [words.join()]);
  return (
    <>
      {words.map((word) => (
        <span key={word} class={`leaving ${word === PAUSED ? 'paused' : ''}`}>
          <span class="dot" aria-hidden="true" />
          {word}
        </span>
      ))}
      <span class="hidden" role="status">
        {news}
      </span>
    </>
  );
}

/** Begins a recording, or ends the one that there is. What it says follows the room, whoever pressed it. */
export function RecordButton({ call, icon, onRecord }) {
  const [asking, setAsking] = useState(false);
  const on = call.recordings.size > 0;
  useEffect(() => setAsking(false), [on]);
  const press = async () => {
    if (asking) return;
    setAsking(true);
    await onRecord([...call.recordings.keys()]); // what goes wrong is said by who was asked
    setAsking(false);
  };
  const label = on ? 'Stop recording' : 'Record';
  return (
    <button
      class={`control ${on ? 'on' : ''}`}
      data-source="recording"
      aria-disabled={asking}
      title={label}
      onClick={press}
    >
      {icon}
      <span>{label}</span>
    </button>
  );
}
