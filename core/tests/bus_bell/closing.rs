//! B5: what is closed stays ready until its end was read; a closed bell is readable for ever.

use reqbus_core::bus::Batch;
use reqbus_core::{Bell, ErrorKind};

use crate::common::{ALL, plain_bus, publish, publish_n};
use crate::{alone, asleep, is_readable, read, take};

#[test]
fn b5_a_closed_subscription_is_ready_until_its_end_was_read() {
    let _alone = alone();
    for policy in 0..3 {
        for by_bus in [false, true] {
            let bus = plain_bus();
            let bell = Bell::new();
            let fd = bell.fd().unwrap();
            let sub = asleep(&bus, &bell, policy, 1);
            publish_n(&bus, 2);
            assert_eq!(take(&bell, 4), [1]);
            assert_eq!(read(&sub, 100), 2);
            assert_eq!(take(&bell, 4), [1]);
            assert_eq!(read(&sub, 100), 0);
            assert!(!is_readable(fd));
            publish(&bus);
            if by_bus {
                bus.close();
            } else {
                sub.close();
            }
            assert!(is_readable(fd));
            assert_eq!(take(&bell, 4), [1]);
            assert_eq!(read(&sub, 100), 1);
            assert!(is_readable(fd), "the end is still to be read");
            assert_eq!(take(&bell, 4), [1]);
            let ended = sub.try_recv(&mut Batch::new(), ALL).unwrap_err();
            assert_eq!(ended.kind(), ErrorKind::Closed);
            assert!(!is_readable(fd), "the end was read");
        }
    }
}

#[test]
fn b5_closing_an_idle_subscription_or_bus_rings() {
    let _alone = alone();
    for policy in 0..3 {
        for by_bus in [false, true] {
            let bus = plain_bus();
            let bell = Bell::new();
            let fd = bell.fd().unwrap();
            let sub = asleep(&bus, &bell, policy, 1);
            if by_bus {
                bus.close();
            } else {
                sub.close();
            }
            assert!(is_readable(fd));
            assert_eq!(take(&bell, 4), [1]);
        }
    }
}

#[test]
fn a_closed_bell_is_readable_for_ever() {
    let _alone = alone();
    let bus = plain_bus();
    let bell = Bell::new();
    let fd = bell.fd().unwrap();
    let sub = asleep(&bus, &bell, 0, 1);
    bell.close();
    bell.close();
    for _ in 0..3 {
        assert!(is_readable(fd));
        assert!(take(&bell, 4).is_empty());
    }
    publish(&bus);
    assert_eq!(take(&bell, 4), [1], "subscriptions go on");
    assert!(is_readable(fd));
    assert_eq!(read(&sub, 10), 1);
    let mut tokens = [0; 4];
    assert_eq!(bell.wait(&mut tokens, None).unwrap(), 1);
    assert_eq!(
        bell.wait(&mut tokens, None).unwrap_err().kind(),
        ErrorKind::Closed
    );
}
