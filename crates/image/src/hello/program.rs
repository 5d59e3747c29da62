//! The program `/hello`: an ELF file put together byte by byte, so that no compiler but Rust's is needed.
//!
//! ```text
//! ELF header (64) │ one program header (56) │ code │ text
//! ```
//! The code is `write(1, text, len); exit(0)`, by position, for each CPU known here.

/// What it says.
const TEXT: &str = "
Hello from estiva!

If you can read this, everything between you and a container works:
 1. The client found the daemon, or started it.
 2. The daemon had no image of this name, so it took the one it carries inside itself: no network, no registry.
 3. It put together a root file system that holds a single file, /hello, and drew a container around it.
 4. That program ran there as process 1, wrote these lines, and ended. You got its output and its exit code, 0.

What to try next:
    estiva ps -a                          the container that just ended
    estiva load -i IMAGE.tar              an image saved by docker, podman or skopeo
    tar -C ROOTFS -c . | estiva import - mine
                                          a folder with a whole system in it, made by debootstrap for one
    estiva run -it mine sh                and a shell inside

";

const HEADERS: usize = 64 + 56;
/// Where the file is mapped.
const BASE: u64 = 0x40_0000;

/// The program for a CPU, by its GOARCH name; `None` for one not known here.
pub(super) fn hello(architecture: &str) -> Option<Vec<u8>> {
    let len = u32::try_from(TEXT.len()).expect("the text is short");
    let (machine, code) = match architecture {
        "amd64" => (62, amd64(len)),
        "arm64" => (183, arm64(len)),
        _ => return None,
    };
    let mut file = headers(machine, (HEADERS + code.len() + TEXT.len()) as u64);
    file.extend(code);
    file.extend(TEXT.as_bytes());
    Some(file)
}

fn headers(machine: u16, size: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADERS);
    out.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"); // 64 bits, little endian, version 1, System V
    for half in [2, machine] {
        out.extend(half.to_le_bytes()); // an executable, for this CPU
    }
    out.extend(1_u32.to_le_bytes());
    for word in [BASE + HEADERS as u64, 64, 0] {
        out.extend(word.to_le_bytes()); // entry point, program headers, no section headers
    }
    out.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        out.extend(half.to_le_bytes()); // sizes and numbers of headers
    }
    out.extend(1_u32.to_le_bytes()); // PT_LOAD
    out.extend(5_u32.to_le_bytes()); // read, execute
    for word in [0, BASE, BASE, size, size, 0x1_0000] {
        out.extend(word.to_le_bytes()); // offset, addresses, sizes, alignment
    }
    out
}

fn amd64(len: u32) -> Vec<u8> {
    let mut code = Vec::new();
    code.extend([0xb8, 1, 0, 0, 0]); // mov eax, 1: write
    code.extend([0xbf, 1, 0, 0, 0]); // mov edi, 1: stdout
    code.extend([0x48, 0x8d, 0x35, 16, 0, 0, 0]); // lea rsi, [rip + 16]: the text, behind the code
    code.push(0xba); // mov edx, len
    code.extend(len.to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0xb8, 60, 0, 0, 0]); // mov eax, 60: exit
    code.extend([0x31, 0xff]); // xor edi, edi
    code.extend([0x0f, 0x05]); // syscall
    code
}

fn arm64(len: u32) -> Vec<u8> {
    let load = |register: u32, value: u32| 0xd280_0000 | (value << 5) | register; // movz
    const CALL: u32 = 0xd400_0001; // svc 0
    let code = [
        load(0, 1),  // stdout
        0x1000_00e1, // adr x1, 28 bytes on: the text, behind the code
        load(2, len),
        load(8, 64), // write
        CALL,
        load(0, 0),
        load(8, 93), // exit
        CALL,
    ];
    code.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn the_program_says_its_text_and_ends_well() {
        let path = std::env::temp_dir().join(format!("estiva-hello-{}", std::process::id()));
        let host = oci::Platform::host();
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o755)
            .open(&path)
            .unwrap();
        file.write_all(&hello(&host.architecture).unwrap()).unwrap();
        drop(file);
        let mut tries = 0;
        // A fork elsewhere in this test process may hold the file open for writing a moment longer.
        let output = loop {
            match Command::new(&path).output() {
                Err(error)
                    if error.kind() == std::io::ErrorKind::ExecutableFileBusy && tries < 50 =>
                {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                output => break output.unwrap(),
            }
        };
        std::fs::remove_file(&path).unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), TEXT);
        assert_eq!(output.status.code(), Some(0));
    }

    #[test]
    fn the_arm_code_is_what_an_assembler_makes() {
        // movz x0,1; adr x1,.+28; movz x2,600; movz x8,64; svc 0; movz x0,0; movz x8,93; svc 0
        let words: Vec<u32> = arm64(600)
            .chunks(4)
            .map(|w| u32::from_le_bytes(w.try_into().unwrap()))
            .collect();
        let expect = [
            0xd280_0020,
            0x1000_00e1,
            0xd280_4b02,
            0xd280_0808,
            0xd400_0001,
            0xd280_0000,
            0xd280_0ba8,
            0xd400_0001,
        ];
        assert_eq!(words, expect);
        assert!(TEXT.len() < 1 << 16, "movz takes 16 bits");
        assert_eq!(hello("s390x"), None);
    }
}
