#include "jail.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The guest's memory: page tables, then code. One 2 MiB identity page covers it. */
#define MEMORY_SIZE 0x8000u
#define PML4_AT     0x1000u
#define PDPT_AT     0x2000u
#define PD_AT       0x3000u
#define CODE_AT     0x4000u
#define STACK_AT    0x8000u
#define TRIAL_LIMIT 2 /* seconds */
#define CPUID_MAX   256

#define CR0_LONG  0x80050033u /* PE MP ET NE WP AM PG */
#define CR4_PAE   (1u << 5)
#define CR4_FXSR  (1u << 9)
#define CR4_XMM   (1u << 10)
#define CR4_XSAVE (1u << 18)
#define EFER_LONG 0x500u /* LME LMA */

/* rdi: AVX is there; rsi: BMI1 is there. Afterwards eax is the AVX sum 3.0f (or
 * 0), edx is blsr(andn(0x1f, 0xfc)) = 0xc0 (or 0), ebx 0x600d. */
extern const unsigned char trial_code[];
extern const uint32_t trial_offsets[3]; /* of AVX, BMI and the end */
enum { TO_AVX, TO_BMI, TO_END };
__asm__(".pushsection .rodata\n"
        "trial_code:\n"
        "    xorl %eax, %eax\n"
        "    xorl %edx, %edx\n"
        "    pushq $0x600d\n"
        "    popq %rbx\n"
        "    testl %edi, %edi\n"
        "    jz trial_bmi\n"
        "trial_avx:\n"
        "    vpxor %xmm0, %xmm0, %xmm0\n"
        "    movl $0x3f800000, %eax\n"
        "    vmovd %eax, %xmm1\n"
        "    vaddps %ymm1, %ymm0, %ymm2\n"
        "    vaddps %ymm2, %ymm1, %ymm2\n"
        "    vaddps %ymm1, %ymm2, %ymm3\n"
        "    vmovd %xmm3, %eax\n"
        "trial_bmi:\n"
        "    testl %esi, %esi\n"
        "    jz trial_halt\n"
        "    movl $0x1f, %ecx\n"
        "    movl $0xfc, %edx\n"
        "    andn %edx, %ecx, %edx\n"
        "    blsr %edx, %edx\n"
        "trial_halt:\n"
        "    hlt\n"
        "trial_end:\n"
        "    .balign 4\n"
        "trial_offsets:\n"
        "    .long trial_avx - trial_code, trial_bmi - trial_code, trial_end - trial_code\n"
        ".popsection\n");
#define AVX_SUM    0x40400000u /* 3.0f */
#define BMI_RESULT 0xc0u       /* 0xfc & ~0x1f = 0xe0, lowest bit reset */

struct trial {
    int kvm, vm, vcpu;
    unsigned char *memory;
    struct kvm_run *run;
    size_t run_size;
    int avx, bmi;
    char *why;
    size_t why_size;
};

static int say(struct trial *t, const char *what) {
    (void) snprintf(t->why, t->why_size, "%s: %s", what, strerror(errno));
    return -1;
}

/* What programs in a guest would use here: AVX with its state enabled by the
 * host's kernel, and BMI1 (leaf 7, EBX bit 3). */
static void find_features(struct trial *t) {
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d))
        t->avx = (c & bit_AVX) && (c & bit_OSXSAVE);
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        t->bmi = (b & bit_BMI) != 0;
}

static int make_vm(struct trial *t) {
    t->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (t->kvm < 0)
        return say(t, "cannot open /dev/kvm");
    if (ioctl(t->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return say(t, "/dev/kvm has an unknown API version");
    t->vm = ioctl(t->kvm, KVM_CREATE_VM, 0);
    if (t->vm < 0)
        return say(t, "KVM cannot create a VM");
    t->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t->memory == MAP_FAILED)
        return say(t, "cannot map memory");
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_SIZE, .userspace_addr = (uintptr_t) t->memory};
    if (ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &region))
        return say(t, "KVM cannot give a VM memory");
    t->vcpu = ioctl(t->vm, KVM_CREATE_VCPU, 0);
    if (t->vcpu < 0)
        return say(t, "KVM cannot create a virtual CPU");
    int size = ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int) sizeof(struct kvm_run))
        return say(t, "KVM does not tell its state's size");
    t->run_size = (size_t) size;
    t->run = mmap(NULL, t->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
    return t->run == MAP_FAILED ? say(t, "cannot map KVM's state") : 0;
}

static void fill_memory(struct trial *t) {
    static const struct {
        uint32_t at;
        uint64_t entry;
    } tables[] = {
        {PML4_AT, PDPT_AT | 3}, /* present, writable */
        {PDPT_AT, PD_AT | 3},
        {PD_AT, 0x83}, /* and a 2 MiB page */
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        (void) memcpy(t->memory + tables[i].at, &tables[i].entry, sizeof(tables[i].entry));
    (void) memcpy(t->memory + CODE_AT, trial_code, trial_offsets[TO_END]);
}

/* The guest's CPUID comes first: CR4 and XCR0 are checked against it. */
static int set_cpuid(struct trial *t) {
    static _Alignas(
        struct kvm_cpuid2) unsigned char space[sizeof(struct kvm_cpuid2) + CPUID_MAX * sizeof(struct kvm_cpuid_entry2)];
    struct kvm_cpuid2 *cpuid = (void *) space;
    cpuid->nent = CPUID_MAX;
    if (ioctl(t->kvm, KVM_GET_SUPPORTED_CPUID, cpuid))
        return say(t, "KVM does not tell what CPU it offers");
    return ioctl(t->vcpu, KVM_SET_CPUID2, cpuid) ? say(t, "KVM refuses its own CPU") : 0;
}

static int set_long_mode(struct trial *t) {
    struct kvm_sregs s;
    if (ioctl(t->vcpu, KVM_GET_SREGS, &s))
        return say(t, "KVM does not give a CPU's registers");
    struct kvm_segment flat = {.limit = 0xffffffff, .present = 1, .s = 1, .g = 1};
    struct kvm_segment code = flat, data = flat;
    code.selector = 8;
    code.type = 11;
    code.l = 1;
    data.selector = 16;
    data.type = 3;
    data.db = 1;
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.cr0 = CR0_LONG;
    s.cr3 = PML4_AT;
    s.cr4 = CR4_PAE | CR4_FXSR | CR4_XMM | (t->avx ? CR4_XSAVE : 0);
    s.efer = EFER_LONG;
    if (ioctl(t->vcpu, KVM_SET_SREGS, &s))
        return say(t, "KVM refuses a CPU in long mode");
    struct kvm_xcrs x = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = 7}}}; /* x87, SSE, AVX */
    if (t->avx && ioctl(t->vcpu, KVM_SET_XCRS, &x))
        return say(t, "KVM refuses AVX");
    struct kvm_regs r = {
        .rip = CODE_AT, .rsp = STACK_AT, .rflags = 2, .rdi = (unsigned) t->avx, .rsi = (unsigned) t->bmi};
    return ioctl(t->vcpu, KVM_SET_REGS, &r) ? say(t, "KVM refuses a CPU's registers") : 0;
}

static const char *place(uint64_t rip) {
    uint64_t at = rip - CODE_AT;
    if (rip < CODE_AT || at >= trial_offsets[TO_END])
        return "outside the trial's code";
    if (at < trial_offsets[TO_AVX])
        return "at an ordinary instruction";
    return at < trial_offsets[TO_BMI] ? "at an AVX instruction" : "at a BMI instruction";
}

static int run(struct trial *t) {
    struct kvm_regs r;
    int stopped = ioctl(t->vcpu, KVM_RUN, 0);
    if (stopped && errno == EINTR) {
        (void) snprintf(t->why, t->why_size, "KVM did not finish the trial within %d s", TRIAL_LIMIT);
        return -1;
    }
    if (stopped)
        return say(t, "KVM cannot run a CPU");
    if (ioctl(t->vcpu, KVM_GET_REGS, &r))
        return say(t, "KVM does not give a CPU's registers");
    if (t->run->exit_reason != KVM_EXIT_HLT) {
        (void) snprintf(t->why, t->why_size, "KVM stopped with exit reason %u %s", t->run->exit_reason, place(r.rip));
        return -1;
    }
    if (r.rbx != 0x600d || r.rax != (t->avx ? AVX_SUM : 0) || r.rdx != (t->bmi ? BMI_RESULT : 0)) {
        (void) snprintf(t->why, t->why_size, "KVM ran the trial with a wrong result");
        return -1;
    }
    return 0;
}

static void on_alarm(int signal) {
    (void) signal;
}

int trial_run(char *why, size_t size) {
    struct trial t = {.kvm = -1, .vm = -1, .vcpu = -1, .why = why, .why_size = size};
    t.memory = MAP_FAILED;
    t.run = MAP_FAILED;
    struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART: KVM_RUN must return */
    (void) sigaction(SIGALRM, &action, NULL);
    (void) alarm(TRIAL_LIMIT);
    find_features(&t);
    int failed = make_vm(&t);
    if (!failed) {
        fill_memory(&t);
        failed = set_cpuid(&t) || set_long_mode(&t) || run(&t) ? -1 : 0;
    }
    (void) alarm(0);
    if (t.run != MAP_FAILED)
        (void) munmap(t.run, t.run_size);
    if (t.memory != MAP_FAILED)
        (void) munmap(t.memory, MEMORY_SIZE);
    const int held[] = {t.vcpu, t.vm, t.kvm};
    for (size_t i = 0; i < 3; i++) {
        if (held[i] >= 0)
            (void) close(held[i]);
    }
    return failed;
}
