import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

const NEAR_END_PX = 80;
const time = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

/** What was written during this call. */
export function Chat({ call, messages, onClose }) {
  const list = useRef(null);
  const input = useRef(null);
  const [waiting, setWaiting] = useState(false);
  useEffect(() => input.current.focus(), []);
  useEffect(() => {
    // who reads what was said before is not pulled away from it
    const { scrollHeight, scrollTop, clientHeight, lastElementChild } = list.current;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_END_PX + (lastElementChild?.offsetHeight ?? 0);
    if (near || scrollTop === 0 || messages.at(-1)?.own) list.current.scrollTop = scrollHeight;
  }, [messages.length]);
  // the room renders at every change of who speaks: a long talk is not gone through each time
  const talk = useMemo(() => messages.map((message) => <Said key={message.id} {...message} />), [messages]);

  const submit = (event) => {
    event.preventDefault();
    const text = input.current.value.trim();
    if (!text) return;
    const sent = call.chat(text);
    if (sent) input.current.value = '';
    setWaiting(!sent);
  };

  return (
    <aside class="chat" id="chat" aria-label="Chat" onKeyDown={({ key }) => key === 'Escape' && onClose()}>
      <header>
        <h2>Chat</h2>
        <button class="link" onClick={onClose}>
          Close
        </button>
      </header>
      {call.encrypted && <p class="hint">What is written here is not encrypted end to end.</p>}
      <ol ref={list} tabIndex={0} aria-label="Conversation" aria-live="polite" aria-relevant="additions">
        {talk}
      </ol>
      <div role="alert">
        {call.unsent.map((text) => (
          <p class="unsent">
            The connection was lost before this was sent: <q dir="auto">{text}</q>{' '}
            <button class="link" disabled={call.state !== 'joined'} onClick={() => call.sendAgain(text)}>
              Try again
            </button>{' '}
            <button class="link" onClick={() => call.forget(text)}>
              Forget
            </button>
          </p>
        ))}
        {waiting && <p class="unsent">You are not connected now. Your message is kept here: send it when you are back.</p>}
      </div>
      <form onSubmit={submit}>
        <label class="hidden" for="message">
          Message
        </label>
        <input id="message" ref={input} dir="auto" maxLength={2000} placeholder="Write to everybody" autocomplete="off" />
        <button class="primary">Send</button>
      </form>
    </aside>
  );
}

function Said({ name, own, text, at }) {
  return (
    <li class={own ? 'own' : ''}>
      <p class="from">
        <strong dir="auto">{name}</strong> <time dateTime={at}>{time(at)}</time>
      </p>
      <p class="text" dir="auto">
        {text}
      </p>
    </li>
  );
}
