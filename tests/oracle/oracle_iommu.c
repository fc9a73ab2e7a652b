// SPDX-License-Identifier: GPL-2.0
/* clang-format off */
/*
 * oracle_iommu: scripted iommufd / VFIO-type1 call sequences, one TSV line per call:
 *     scenario <tab> step <tab> call(symbolic args) <tab> result
 * result = "0" (or the positive return value) or the errno NAME, then deterministic outputs.
 * Every scenario runs in its own child process (alarm -> HANG line).
 *
 * usage: oracle_iommu [-l] [-o FILE] GROUP|SCENARIO ...
 *        GROUP = iommufd cdev cdevmdev mock type1 mtty mix
 * environment (all optional; defaults are what the Linux rig has):
 *   O_IOMMU=/dev/iommu  O_CONTAINER=/dev/vfio/vfio
 *   O_A=0000:00:03.0 O_B=0000:00:04.0       device names for GET_DEVICE_FD
 *   O_A_GROUP=/dev/vfio/N O_A_CDEV=/dev/vfio/devices/vfioN (same for _B, and _M/_N = two mdevs)
 *   O_M=<uuid> O_N=<uuid>                   mtty mdevs
 * Build: gcc -static -O1 -I<uapi> -DMOCK_HDR -I<iommufd dir> oracle_iommu.c
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <linux/iommufd.h>
#ifdef MOCK_HDR
#include "iommufd_test.h"
#endif
typedef uint64_t u64; typedef uint32_t u32; typedef uint8_t u8;
#define K 1024ULL
#define M (1024*K)
#define G (1024*M)
#define PG 4096ULL
#define U64MAX (~0ULL)
#ifndef VFIO_UPDATE_VADDR
#define VFIO_UPDATE_VADDR 10
#endif

/* ------------------------------------------------------------------ output */
static FILE *out; static const char *scn; static int stepno, total;
static char C[2048], R[16384];
static const char *ename(int e){
	static char b[32];
	if(e==524)return "ENOTSUPP(524)";if(e==512)return "ERESTARTSYS(512)";
	const char*n=strerrorname_np(e);if(n)return n;
	snprintf(b,sizeof b,"E%d",e);return b;}
static void call(const char*f,...){va_list a;va_start(a,f);vsnprintf(C,sizeof C,f,a);va_end(a);}
static void res(const char*f,...){size_t n=strlen(R);va_list a;va_start(a,f);vsnprintf(R+n,sizeof R-n,f,a);va_end(a);}
/* the one macro: run a wrapper, print its line. Value = ioctl return value. */
#define STEP(x) ({C[0]=R[0]=0;long r_=(x);int e_=errno;emit(r_,e_);errno=e_;r_;})
static struct {int sd;int has_size;int tail;int resv;int nullp,badp,rop;int fill;}mod;
static void emit(long r,int e){
	char m[128]="";
	if(mod.has_size)snprintf(m+strlen(m),64,"{size%+d%s}",mod.sd,mod.sd>0?mod.tail?",tail=FF":",tail=0":"");
	if(mod.resv)strcat(m,"{reserved=1}");
	if(mod.nullp)strcat(m,"{arg=NULL}");
	if(mod.badp)strcat(m,"{arg=unmapped}");
	if(mod.rop)strcat(m,"{arg=readonly}");
	memset(&mod,0,sizeof mod);
	fprintf(out,"%s\t%03d\t%s%s\t",scn,++stepno,C,m);
	if(r<0)fprintf(out,"%s",ename(e));else fprintf(out,"%ld",r);
	if(R[0])fprintf(out," %s",R[0]==' '?R+1:R);
	fputc('\n',out);fflush(out);}
static void note(const char*s){fprintf(out,"%s\t%03d\t#%s\t-\n",scn,++stepno,s);fflush(out);}
/* one-shot modifiers for the next ioctl */
#define SIZE(d) (mod.has_size=1,mod.sd=(d))
#define SIZET(d) (mod.has_size=1,mod.sd=(d),mod.tail=0xff)
#define RESV() (mod.resv=1)
#define ARGNULL() (mod.nullp=1)
#define ARGBAD() (mod.badp=1)
#define ARGRO() (mod.rop=1)
#define FILL(v) (mod.fill=(v))

static char rb[16][64];static int rbi;
static const char *Z(u64 v){
	char*b=rb[rbi++&15];
	if(v>=U64MAX-16*M){u64 d=0-v;if(d%M==0)sprintf(b,"2^64-%lluM",(unsigned long long)(d/M));else if(d%K==0)sprintf(b,"2^64-%lluK",(unsigned long long)(d/K));else sprintf(b,"2^64-%llu",(unsigned long long)d);return b;}
	if(v==1ULL<<63)return "2^63";
	if(v&&v%G==0&&v/G<65536)sprintf(b,"%lluG",(unsigned long long)(v/G));
	else if(v&&v%M==0&&v/M<65536)sprintf(b,"%lluM",(unsigned long long)(v/M));
	else if(v&&v%K==0&&v/K<65536)sprintf(b,"%lluK",(unsigned long long)(v/K));
	else if(v<65536)sprintf(b,"%llu",(unsigned long long)v);
	else sprintf(b,"0x%llx",(unsigned long long)v);
	return b;}
/* inclusive last addresses print better in hex */
static const char *X(u64 v){char*b=rb[rbi++&15];sprintf(b,"0x%llx",(unsigned long long)v);return b;}

/* ------------------------------------------------------------------ memory */
/* all at fixed addresses, so that automatic IOVA choice is deterministic */
#define A_BASE 0x100000000000ULL		/* 8M RW, 2M-aligned, private anon */
#define A_LEN  (8*M)
#define RO_BASE 0x100010000000ULL		/* 64K read-only private anon, after it a hole */
#define RO_LEN (64*K)
#define SH_BASE 0x100020000000ULL		/* 1M shared memfd, RW */
#define SH_LEN (1*M)
#define ROSH_BASE 0x100028000000ULL		/* same memfd, read-only VMA */
#define NONE_BASE 0x100030000000ULL		/* 64K PROT_NONE */
#define NONE_LEN (64*K)
#define HOLE_BASE 0x100040000000ULL		/* never mapped */
#define HOLE_LEN (64*M)
#define BM_BASE 0x100050000000ULL		/* 4M bitmap buffer */
#define BM_LEN (4*M)
#define BMRO_BASE 0x100060000000ULL		/* 64K read-only */
#define BMEND_BASE 0x100070000000ULL		/* one page, hole behind it */
#define IO_BASE 0x100080000000ULL		/* ioctl argument page */
static struct{u64 base,len;const char*n;}reg[]={{A_BASE,A_LEN,"A"},{RO_BASE,RO_LEN,"RO"},{SH_BASE,SH_LEN,"SH"},{ROSH_BASE,SH_LEN,"ROSH"},{NONE_BASE,NONE_LEN,"PROTNONE"},{HOLE_BASE,HOLE_LEN,"HOLE"},{BM_BASE,BM_LEN,"BM"},{BMRO_BASE,64*K,"BMRO"},{BMEND_BASE,4*K,"BMEND"},{0x100090000000ULL,4*M,"HUGETLB"},{0x1000a0000000ULL,M,"A2"}};
static const char*VA(u64 v){
	char*b=rb[rbi++&15];if(!v)return "NULL";
	for(unsigned i=0;i<sizeof reg/sizeof*reg;i++)if(v>=reg[i].base&&v-reg[i].base<=reg[i].len){
		if(v==reg[i].base)return reg[i].n;snprintf(b,64,"%s+%s",reg[i].n,Z(v-reg[i].base));return b;}
	return Z(v);}
static u8*iob;
static void *mm(u64 a,u64 l,int p,int f,int fd){
	void*q=mmap((void*)a,l,p,f|MAP_FIXED_NOREPLACE,fd,0);
	if(q!=(void*)a){fprintf(stderr,"mmap %llx: %s\n",(unsigned long long)a,strerror(errno));exit(3);}return q;}
static void mem_setup(void){
	memset(mm(A_BASE,A_LEN,3,MAP_PRIVATE|MAP_ANONYMOUS,-1),0x11,A_LEN);
	mm(RO_BASE,RO_LEN,PROT_READ,MAP_PRIVATE|MAP_ANONYMOUS,-1);
	int f=memfd_create("sh",0);if(f<0||ftruncate(f,SH_LEN))exit(3);
	memset(mm(SH_BASE,SH_LEN,3,MAP_SHARED,f),0x22,SH_LEN);
	mm(ROSH_BASE,SH_LEN,PROT_READ,MAP_SHARED,f);close(f);
	mm(NONE_BASE,NONE_LEN,PROT_NONE,MAP_PRIVATE|MAP_ANONYMOUS,-1);
	memset(mm(BM_BASE,BM_LEN,3,MAP_PRIVATE|MAP_ANONYMOUS,-1),0,BM_LEN);
	mm(BMRO_BASE,64*K,PROT_READ,MAP_PRIVATE|MAP_ANONYMOUS,-1);
	memset(mm(BMEND_BASE,4*K,3,MAP_PRIVATE|MAP_ANONYMOUS,-1),0,4*K);
	iob=mm(IO_BASE,8192,3,MAP_PRIVATE|MAP_ANONYMOUS,-1);memset(iob,0,8192);
}
/* page list of a bitmap as "0-3,7" */
static void bits(const u8*b,u64 n,char*o,size_t sz){
	size_t l=0;o[0]=0;u64 i=0;
	while(i<n){
		if(!(b[i/8]>>(i%8)&1)){i++;continue;}
		u64 s=i;while(i<n&&(b[i/8]>>(i%8)&1))i++;
		if(l+48<sz){l+=sprintf(o+l,i-1==s?"%s%llu":"%s%llu-%llu",l?",":"",(unsigned long long)s,(unsigned long long)(i-1));}
		else{strcpy(o+l,",...");break;}
	}
	if(!o[0])strcpy(o,"none");}

/* ------------------------------------------------------------------ iommufd */
static int ifd=-1;static u32 id0;
static const char*ID(u32 id){char*b=rb[rbi++&15];if(!id)return "id:0";if(!id0||id-id0>5000)sprintf(b,"id:%#x",id);else sprintf(b,"#%d",(int)(id-id0));return b;}
static void newid(const char*n,u32 id){if(!id0)id0=id;res(" %s=%s",n,ID(id));}
static long ioc(int fd,unsigned long req,void*st,size_t sz,u32 *resv){
	if(mod.resv&&resv)*resv=1;
	memset(iob,0,4096);memcpy(iob,st,sz);
	*(u32*)iob=sz+(mod.has_size?mod.sd:0);
	if(mod.has_size&&mod.sd>0)memset(iob+sz,mod.tail,mod.sd);
	void*arg=iob;if(mod.nullp)arg=NULL;if(mod.badp)arg=(void*)HOLE_BASE;
	if(mod.rop)mprotect(iob,4096,PROT_READ);
	errno=0;long r=ioctl(fd,req,arg);int e=errno;
	if(mod.rop)mprotect(iob,4096,3);
	if(!mod.nullp&&!mod.badp)memcpy(st,iob,sz);
	errno=e;return r;}
#define IOC(req,st,rsv) ioc(ifd,req,&st,sizeof st,rsv)
static long o_open(const char*path,const char*name,int*fd){
	call("open(%s)",name);errno=0;*fd=open(path,O_RDWR|O_CLOEXEC);if(*fd>=0){res(" fd");return 0;}return -1;}
static long o_close(int*fd,const char*name){call("close(%s)",name);errno=0;long r=close(*fd);*fd=-1;return r;}
static const char*env(const char*n,const char*d){const char*e=getenv(n);return e&&*e?e:d;}
static void open_iommu(void){id0=0;STEP(o_open(env("O_IOMMU","/dev/iommu"),"IOMMU",&ifd));}
static long ioas_alloc(u32 fl,u32*id){
	struct iommu_ioas_alloc a={.flags=fl};call("IOAS_ALLOC(flags=%u)",fl);
	long r=IOC(IOMMU_IOAS_ALLOC,a,0);if(!r){newid("ioas",a.out_ioas_id);if(id)*id=a.out_ioas_id;}return r;}
static long destroy(u32 id){struct iommu_destroy d={.id=id};call("DESTROY(%s)",ID(id));return IOC(IOMMU_DESTROY,d,0);}
enum{FX=IOMMU_IOAS_MAP_FIXED_IOVA,W=IOMMU_IOAS_MAP_WRITEABLE,RD=IOMMU_IOAS_MAP_READABLE,RW=W|RD};
static const char*mfl(u32 f){char*b=rb[rbi++&15];sprintf(b,"%s%s%s",f&FX?"FIXED|":"AUTO|",f&RD?"R":"",f&W?"W":"");if(f&~7u)sprintf(b+strlen(b),"|%#x",f&~7u);return b;}
static long ioas_map(u32 io,u32 fl,u64 va,u64 len,u64 iova,u64*oi){
	struct iommu_ioas_map m={.flags=fl,.ioas_id=io,.user_va=va,.length=len,.iova=iova};
	call("IOAS_MAP(%s,%s,va=%s,len=%s,iova=%s)",ID(io),mfl(fl),VA(va),Z(len),Z(iova));
	long r=IOC(IOMMU_IOAS_MAP,m,&m.__reserved);if(!r)res(" iova=%s",Z(m.iova));
	else if(m.iova!=iova||m.length!=len)res(" !struct changed iova=%s",Z(m.iova));
	if(oi)*oi=m.iova;return r;}
static long ioas_copy(u32 dst,u32 src,u32 fl,u64 len,u64 di,u64 si){
	struct iommu_ioas_copy m={.flags=fl,.dst_ioas_id=dst,.src_ioas_id=src,.length=len,.dst_iova=di,.src_iova=si};
	call("IOAS_COPY(dst=%s,src=%s,%s,len=%s,dst_iova=%s,src_iova=%s)",ID(dst),ID(src),mfl(fl),Z(len),Z(di),Z(si));
	long r=IOC(IOMMU_IOAS_COPY,m,0);if(!r)res(" dst_iova=%s",Z(m.dst_iova));return r;}
static long ioas_unmap(u32 io,u64 iova,u64 len){
	struct iommu_ioas_unmap m={.ioas_id=io,.iova=iova,.length=len};
	call("IOAS_UNMAP(%s,iova=%s,len=%s)",ID(io),Z(iova),Z(len));
	long r=IOC(IOMMU_IOAS_UNMAP,m,0);if(!r)res(" unmapped=%s",Z(m.length));else if(m.length!=len)res(" !length=%s",Z(m.length));return r;}
static long iova_ranges(u32 io,u32 num,u64 ptr){
	struct iommu_ioas_iova_ranges m={.ioas_id=io,.num_iovas=num,.allowed_iovas=ptr};
	struct iommu_iova_range*q=(void*)BM_BASE;if(ptr==BM_BASE)memset(q,0xee,4096);
	call("IOAS_IOVA_RANGES(%s,num=%u,ptr=%s)",ID(io),num,VA(ptr));
	long r=IOC(IOMMU_IOAS_IOVA_RANGES,m,&m.__reserved);
	if(!r||errno==EMSGSIZE){int e=errno;res(" num=%u align=%s",m.num_iovas,Z(m.out_iova_alignment));
		if(ptr==BM_BASE)for(u32 i=0;i<m.num_iovas&&i<num;i++)res(" [%s-%s]",X(q[i].start),X(q[i].last));errno=e;}
	else if(m.num_iovas!=num)res(" !num=%u",m.num_iovas);
	return r;}
static long allow_iovas(u32 io,u32 num,const u64*se,u64 ptr){
	struct iommu_ioas_allow_iovas m={.ioas_id=io,.num_iovas=num,.allowed_iovas=ptr};char t[512]="";
	if(ptr==BM_BASE)for(u32 i=0;i<num;i++){((u64*)BM_BASE)[2*i]=se[2*i];((u64*)BM_BASE)[2*i+1]=se[2*i+1];sprintf(t+strlen(t),"[%s-%s]",X(se[2*i]),X(se[2*i+1]));}
	else strcpy(t,VA(ptr));
	call("IOAS_ALLOW_IOVAS(%s,num=%u,%s)",ID(io),num,t);return IOC(IOMMU_IOAS_ALLOW_IOVAS,m,&m.__reserved);}
static long option(u32 opt,u32 op,u32 obj,u64 val){
	struct iommu_option m={.option_id=opt,.op=op,.object_id=obj,.val64=val};
	call("OPTION(%s,%s,%s,val=%s)",opt==0?"RLIMIT_MODE":opt==1?"HUGE_PAGES":Z(opt),op==0?"SET":op==1?"GET":Z(op),ID(obj),Z(val));
	if(mod.resv)m.__reserved=1;
	long r=IOC(IOMMU_OPTION,m,0);if(!r)res(" val=%s",Z(m.val64));return r;}
static long vfio_ioas(u32 op,u32 id){
	struct iommu_vfio_ioas m={.op=op,.ioas_id=id};if(mod.resv)m.__reserved=1;
	call("VFIO_IOAS(%s,%s)",op==0?"GET":op==1?"SET":op==2?"CLEAR":Z(op),ID(id));
	long r=IOC(IOMMU_VFIO_IOAS,m,0);if(!r&&op==0)newid("ioas",m.ioas_id);return r;}
static const char*hfl(u32 f){char*b=rb[rbi++&15];if(!f)return "0";sprintf(b,"%s%s%s",f&1?"NEST_PARENT|":"",f&2?"DIRTY|":"",f&4?"FAULT_ID|":"");if(f&~7u)sprintf(b+strlen(b),"%#x|",f&~7u);b[strlen(b)-1]=0;return b;}
static long hwpt_alloc4(u32 dev,u32 pt,u32 fl,u32 dt,u32 dl,u64 up,u32 fault,u32*id){
	struct iommu_hwpt_alloc m={.flags=fl,.dev_id=dev,.pt_id=pt,.data_type=dt,.data_len=dl,.data_uptr=up,.fault_id=fault};
	if(dt||dl||up||fault)call("HWPT_ALLOC(dev=%s,pt=%s,flags=%s,dtype=%#x,dlen=%u,uptr=%s,fault=%s)",ID(dev),ID(pt),hfl(fl),dt,dl,VA(up),ID(fault));
	else call("HWPT_ALLOC(dev=%s,pt=%s,flags=%s)",ID(dev),ID(pt),hfl(fl));
	long r=IOC(IOMMU_HWPT_ALLOC,m,&m.__reserved);if(!r){newid("hwpt",m.out_hwpt_id);if(id)*id=m.out_hwpt_id;}return r;}
static long hwpt_alloc(u32 dev,u32 pt,u32 fl,u32*id){return hwpt_alloc4(dev,pt,fl,0,0,0,0,id);}
static long hw_info(u32 dev,u32 fl,u32 dl,u64 up){
	struct iommu_hw_info m={.flags=fl,.dev_id=dev,.data_len=dl,.data_uptr=up};
	if(up==BM_BASE)memset((void*)BM_BASE,0xee,256);
	call("GET_HW_INFO(dev=%s,flags=%u,len=%u,ptr=%s)",ID(dev),fl,dl,VA(up));
	if(mod.resv)m.__reserved[0]=1;
	long r=IOC(IOMMU_GET_HW_INFO,m,0);
	if(!r){res(" type=%#x len=%u caps=%s maxpasid=%u",m.out_data_type,m.data_len,X(m.out_capabilities),m.out_max_pasid_log2);
		if(up==BM_BASE){u8*b=(void*)BM_BASE;u32 n=0;while(n<256&&b[n]!=0xee)n++;while(n<256){u32 i=n;while(i<256&&b[i]==0xee)i++;if(i==256)break;n=i;while(n<256&&b[n]!=0xee)n++;}
			res(" written=%u",n);}}
	return r;}
static long set_dirty(u32 h,u32 fl){
	struct iommu_hwpt_set_dirty_tracking m={.flags=fl,.hwpt_id=h};
	call("SET_DIRTY_TRACKING(%s,%s)",ID(h),fl==1?"ENABLE":fl==0?"0":Z(fl));
	return IOC(IOMMU_HWPT_SET_DIRTY_TRACKING,m,&m.__reserved);}
/* window printed: expected bits rounded to 64, plus 64 (canary) */
static long get_dirty(u32 h,u32 fl,u64 iova,u64 len,u64 pgs,u64 ptr){
	struct iommu_hwpt_get_dirty_bitmap m={.hwpt_id=h,.flags=fl,.iova=iova,.length=len,.page_size=pgs,.data=ptr};
	int fill=mod.fill,sh=pgs?__builtin_ctzll(pgs):0;u64 n=len>>sh;if(n>4096*64)n=4096*64;n=(n+63)/64*64+64;
	int own=ptr>=BM_BASE&&ptr<BM_BASE+BM_LEN;u8*b=(void*)(uintptr_t)(own?ptr:BM_BASE);
	if(own){memset((void*)BM_BASE,fill,BM_LEN);}
	else if(ptr>=BMEND_BASE&&ptr<BMEND_BASE+4096){memset((void*)BMEND_BASE,fill,4096);b=(void*)(uintptr_t)ptr;n=(BMEND_BASE+4096-ptr)*8;own=1;}
	char f[32]="";if(fill)sprintf(f,",prefill=%02x",fill);
	call("GET_DIRTY_BITMAP(%s,%s,iova=%s,len=%s,pgsz=%s,bm=%s%s)",ID(h),fl==1?"NO_CLEAR":fl==0?"0":Z(fl),Z(iova),Z(len),Z(pgs),VA(ptr),f);
	long r=IOC(IOMMU_HWPT_GET_DIRTY_BITMAP,m,&m.__reserved);int e=errno;
	if(own){char t[4096];int ch=0;for(u64 i=0;i<n/8;i++)if(b[i]!=(u8)fill)ch=1;
		if(!r||ch){bits(b,n,t,900);res(" bits=%s",t);}
		if(ptr>BM_BASE&&ptr<BM_BASE+BM_LEN){for(u8*q=(void*)BM_BASE;q<b;q++)if(*q!=fill){res(" !wrote before bm");break;}}}
	errno=e;return r;}
static long fault_alloc(u32 fl,u32*id,int*fd){
	struct iommu_fault_alloc m={.flags=fl};call("FAULT_QUEUE_ALLOC(flags=%u)",fl);
	long r=IOC(IOMMU_FAULT_QUEUE_ALLOC,m,0);if(!r){newid("fault",m.out_fault_id);res(" fd");if(id)*id=m.out_fault_id;if(fd)*fd=m.out_fault_fd;}return r;}
static long invalidate(u32 h,u64 up,u32 dt,u32 el,u32 en){
	struct iommu_hwpt_invalidate m={.hwpt_id=h,.data_uptr=up,.data_type=dt,.entry_len=el,.entry_num=en};
	call("HWPT_INVALIDATE(%s,ptr=%s,type=%#x,elen=%u,enum=%u)",ID(h),VA(up),dt,el,en);
	long r=IOC(IOMMU_HWPT_INVALIDATE,m,&m.__reserved);int e=errno;res(" entry_num=%u",m.entry_num);errno=e;return r;}
static long raw(unsigned long req,const char*n,size_t sz,u32 w1){
	u32 b[64]={0};b[1]=w1;call("ioctl(%s,size=%zu)",n,sz);
	memset(iob,0,4096);memcpy(iob,b,sizeof b);*(u32*)iob=sz;errno=0;
	return ioctl(ifd,req,mod.nullp?NULL:mod.badp?(void*)HOLE_BASE:iob);}

/* ------------------------------------------------------------------ mock */
#ifdef MOCK_HDR
static u32 m_dev,m_st,m_hw;
static long mock_domain(u32 pt,u32 flags){
	struct iommu_test_cmd c={.op=IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,.id=pt,.mock_domain_flags={.dev_flags=flags}};
	call("TEST.MOCK_DOMAIN(pt=%s,devflags=%u)",ID(pt),flags);
	long r=IOC(IOMMU_TEST_CMD,c,0);
	if(!r){m_st=c.mock_domain_flags.out_stdev_id;m_dev=c.mock_domain_flags.out_idev_id;m_hw=c.mock_domain_flags.out_hwpt_id;newid("stdev",m_st);newid("idev",m_dev);newid("hwpt",m_hw);}
	return r;}
static long mock_replace(u32 st,u32 pt){
	struct iommu_test_cmd c={.op=IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,.id=st,.mock_domain_replace={.pt_id=pt}};
	call("TEST.REPLACE(stdev=%s,pt=%s)",ID(st),ID(pt));
	long r=IOC(IOMMU_TEST_CMD,c,0);if(!r)newid("pt",c.mock_domain_replace.pt_id);return r;}
static long mock_reserved(u32 io,u64 s,u64 l){
	struct iommu_test_cmd c={.op=IOMMU_TEST_OP_ADD_RESERVED,.id=io,.add_reserved={.start=s,.length=l}};
	call("TEST.ADD_RESERVED(%s,start=%s,len=%s)",ID(io),Z(s),Z(l));return IOC(IOMMU_TEST_CMD,c,0);}
/* mark list of 2K-granule IOVAs dirty ("hardware" write). pg in 2K units */
static long mock_dirty(u32 h,u64 iova,u64 len,u64 ps,int n,...){
	static u8 in[65536];memset(in,0,sizeof in);char t[256]="";va_list a;va_start(a,n);
	for(int i=0;i<n;i++){int p=va_arg(a,int);in[p/8]|=1<<(p%8);sprintf(t+strlen(t),"%s%d",i?",":"",p);}va_end(a);
	struct iommu_test_cmd c={.op=IOMMU_TEST_OP_DIRTY,.id=h,.dirty={.iova=iova,.length=len,.page_size=ps,.uptr=(uintptr_t)in}};
	call("TEST.DIRTY(%s,iova=%s,len=%s,pgsz=%s,bits=%s)",ID(h),Z(iova),Z(len),Z(ps),t);
	long r=IOC(IOMMU_TEST_CMD,c,0);if(!r)res(" nr=%llu",(unsigned long long)c.dirty.out_nr_dirty);return r;}
static long mock_checkmap(u32 h,u64 iova,u64 len,u64 va){
	struct iommu_test_cmd c={.op=IOMMU_TEST_OP_MD_CHECK_MAP,.id=h,.check_map={.iova=iova,.length=len,.uptr=va}};
	call("TEST.CHECK_MAP(%s,iova=%s,len=%s,va=%s)",ID(h),Z(iova),Z(len),VA(va));return IOC(IOMMU_TEST_CMD,c,0);}
static long mock_refs(u64 va,u64 len,u32 refs){
	struct iommu_test_cmd c={.op=IOMMU_TEST_OP_MD_CHECK_REFS,.check_refs={.length=len,.uptr=va,.refs=refs}};
	call("TEST.CHECK_REFS(va=%s,len=%s,refs>=%u)",VA(va),Z(len),refs);return IOC(IOMMU_TEST_CMD,c,0);}
#endif

/* ------------------------------------------------------------------ vfio devices */
struct vd{const char*sym;char name[80],grp[256],cdev[256];int fd,gfd;u32 id;};
static struct vd dA={"A"},dB={"B"},dM={"M"},dN={"N"};
static void vd_setup(struct vd*d,const char*defname,int mdev){
	char k[32],p[256],l[256];ssize_t n;struct dirent*e;DIR*D;d->fd=d->gfd=-1;
	snprintf(k,sizeof k,"O_%s",d->sym);snprintf(d->name,sizeof d->name,"%s",env(k,defname));
	snprintf(k,sizeof k,"O_%s_GROUP",d->sym);snprintf(d->grp,sizeof d->grp,"%s",env(k,""));
	snprintf(k,sizeof k,"O_%s_CDEV",d->sym);snprintf(d->cdev,sizeof d->cdev,"%s",env(k,""));
	const char*bus=mdev?"/sys/bus/mdev/devices":"/sys/bus/pci/devices";
	if(!d->grp[0]){snprintf(p,sizeof p,"%s/%s/iommu_group",bus,d->name);n=readlink(p,l,sizeof l-1);if(n>0){l[n]=0;snprintf(d->grp,sizeof d->grp,"/dev/vfio/%.60s",strrchr(l,'/')+1);}else strcpy(d->grp,"/nonexistent-group");}
	if(!d->cdev[0]){snprintf(p,sizeof p,"%s/%s/vfio-dev",bus,d->name);D=opendir(p);strcpy(d->cdev,"/nonexistent-cdev");
		if(D){while((e=readdir(D)))if(!strncmp(e->d_name,"vfio",4))snprintf(d->cdev,sizeof d->cdev,"/dev/vfio/devices/%.60s",e->d_name);closedir(D);}}
}
static long cdev_open(struct vd*d){char b[32];sprintf(b,"CDEV_%s",d->sym);return o_open(d->cdev,b,&d->fd);}
static long cdev_close(struct vd*d){char b[32];sprintf(b,"CDEV_%s",d->sym);return o_close(&d->fd,b);}
/* vfio structs: argsz = sizeof + SIZE() delta */
static long bind_(struct vd*d,int fd,const char*fn,u32 fl){
	struct vfio_device_bind_iommufd m={.flags=fl,.iommufd=fd};call("BIND_IOMMUFD(%s,iommufd=%s,flags=%u)",d->sym,fn,fl);
	long r=ioc(d->fd,VFIO_DEVICE_BIND_IOMMUFD,&m,sizeof m,0);if(!r){d->id=m.out_devid;newid("dev",d->id);}return r;}
static long attach(struct vd*d,u32 pt,u32 fl){
	struct vfio_device_attach_iommufd_pt m={.flags=fl,.pt_id=pt};call("ATTACH_PT(%s,%s,flags=%u)",d->sym,ID(pt),fl);
	long r=ioc(d->fd,VFIO_DEVICE_ATTACH_IOMMUFD_PT,&m,sizeof m,0);if(!r)newid("pt",m.pt_id);return r;}
static long detach(struct vd*d,u32 fl){
	struct vfio_device_detach_iommufd_pt m={.flags=fl};call("DETACH_PT(%s,flags=%u)",d->sym,fl);
	return ioc(d->fd,VFIO_DEVICE_DETACH_IOMMUFD_PT,&m,sizeof m,0);}
static long devinfo(struct vd*d){
	struct vfio_device_info m={0};call("DEVICE_GET_INFO(%s)",d->sym);long r=ioc(d->fd,VFIO_DEVICE_GET_INFO,&m,offsetof(struct vfio_device_info,num_irqs)+4,0);
	if(!r)res(" flags=%#x regions=%u irqs=%u",m.flags&~VFIO_DEVICE_FLAGS_CAPS,m.num_regions,m.num_irqs);return r;}

/* ------------------------------------------------------------------ type1 */
static int cfd=-1;
static long c_open(int*fd,const char*n){return o_open(env("O_CONTAINER","/dev/vfio/vfio"),n,fd);}
static long g_open(struct vd*d){char b[32];sprintf(b,"GROUP_%s",d->sym);return o_open(d->grp,b,&d->gfd);}
static long g_close(struct vd*d){char b[32];sprintf(b,"GROUP_%s",d->sym);return o_close(&d->gfd,b);}
static long api(int fd,const char*n){call("GET_API_VERSION(%s)",n);errno=0;return ioctl(fd,VFIO_GET_API_VERSION,0);}
static long ext(int fd,unsigned long n){
	static const char*nm[]={"0","TYPE1","SPAPR_TCE","TYPE1v2","DMA_CC","EEH","TYPE1_NESTING","SPAPR_TCE_v2","NOIOMMU","UNMAP_ALL","UPDATE_VADDR"};
	call("CHECK_EXTENSION(%s%s%lu)",n<11?nm[n]:"",n&&n<11?"=":"",n);if(n==0)call("CHECK_EXTENSION(0)");errno=0;return ioctl(fd,VFIO_CHECK_EXTENSION,n);}
static long set_iommu(int fd,unsigned long t){call("SET_IOMMU(%s)",t==1?"TYPE1":t==3?"TYPE1v2":t==6?"TYPE1_NESTING":t==8?"NOIOMMU":Z(t));errno=0;return ioctl(fd,VFIO_SET_IOMMU,t);}
static long g_status(struct vd*d){struct vfio_group_status m={.flags=0xff};call("GROUP_GET_STATUS(%s)",d->sym);
	long r=ioc(d->gfd,VFIO_GROUP_GET_STATUS,&m,sizeof m,0);if(!r)res(" %s%s%s",m.flags&1?"VIABLE":"",m.flags&2?"|CONTAINER_SET":"",m.flags?"":"0");return r;}
static long g_set(struct vd*d,int fd,const char*n){call("GROUP_SET_CONTAINER(%s,%s)",d->sym,n);errno=0;
	return ioctl(d->gfd,VFIO_GROUP_SET_CONTAINER,mod.nullp?NULL:&fd);}
static long g_unset(struct vd*d){call("GROUP_UNSET_CONTAINER(%s)",d->sym);errno=0;return ioctl(d->gfd,VFIO_GROUP_UNSET_CONTAINER,0);}
static long g_devfd(struct vd*d,const char*name,const char*sym,int*fd){call("GROUP_GET_DEVICE_FD(%s,%s)",d->sym,sym);errno=0;
	int r=ioctl(d->gfd,VFIO_GROUP_GET_DEVICE_FD,name);if(r>=0){*fd=r;res(" fd");return 0;}return r;}
static long t_info(int fd,u32 argsz){
	static char b[8192];memset(b,0,sizeof b);struct vfio_iommu_type1_info*i=(void*)b;i->argsz=argsz;
	call("IOMMU_GET_INFO(argsz=%u)",argsz);errno=0;
	long r=ioctl(fd,VFIO_IOMMU_GET_INFO,mod.nullp?NULL:mod.badp?(void*)HOLE_BASE:b);
	if(!r){res(" argsz=%u flags=%s%s pgsizes=%s",i->argsz,i->flags&1?"PGSIZES":"",i->flags&2?"|CAPS":"",X(i->iova_pgsizes));
		if(argsz>=sizeof*i&&(i->flags&2)){res(" cap_offset=%u",i->cap_offset);
		for(u32 o=i->cap_offset,n=0;o&&n<10;n++){struct vfio_info_cap_header*h=(void*)(b+o);
			res(" cap@%u{id=%u v%u next=%u",o,h->id,h->version,h->next);
			if(h->id==1){struct vfio_iommu_type1_info_cap_iova_range*c=(void*)h;res(" IOVA_RANGE n=%u",c->nr_iovas);for(u32 k=0;k<c->nr_iovas;k++)res(" %s-%s",X(c->iova_ranges[k].start),X(c->iova_ranges[k].end));}
			else if(h->id==2){struct vfio_iommu_type1_info_cap_migration*c=(void*)h;res(" MIGRATION flags=%u pgsizes=%s max_bitmap=%s",c->flags,X(c->pgsize_bitmap),Z(c->max_dirty_bitmap_size));}
			else if(h->id==3){struct vfio_iommu_type1_info_dma_avail*c=(void*)h;res(" DMA_AVAIL=%u",c->avail);}
			res("}");o=h->next;}}}
	return r;}
static long t_map(u32 fl,u64 va,u64 len,u64 iova){
	struct vfio_iommu_type1_dma_map m={.flags=fl,.vaddr=va,.iova=iova,.size=len};
	call("MAP_DMA(%s%s%s%s,va=%s,iova=%s,size=%s)",fl&1?"R":"",fl&2?"W":"",fl&4?"VADDR":"",fl&~7u?Z(fl&~7u):fl?"":"0",VA(va),Z(iova),Z(len));
	return ioc(cfd,VFIO_IOMMU_MAP_DMA,&m,sizeof m,0);}
static long t_unmap(u32 fl,u64 iova,u64 len){
	struct vfio_iommu_type1_dma_unmap m={.flags=fl,.iova=iova,.size=len};
	call("UNMAP_DMA(%s%s%s,iova=%s,size=%s)",fl&1?"DIRTY|":"",fl&2?"ALL|":"",fl&4?"VADDR|":fl&~7u?Z(fl):fl?"":"0",Z(iova),Z(len));
	long r=ioc(cfd,VFIO_IOMMU_UNMAP_DMA,&m,sizeof m,0);if(!r)res(" size=%s",Z(m.size));else if(m.size!=len)res(" !size=%s",Z(m.size));return r;}
static long bm_ioctl(unsigned long req,void*st,size_t sz,u64 ptr,u64 nb){
	int fill=mod.fill,own=ptr>=BM_BASE&&ptr<BM_BASE+BM_LEN;u8*b=(void*)(uintptr_t)ptr;u64 n=(nb+63)/64*64+64;if(n>262144)n=262144;
	if(own)memset((void*)BM_BASE,fill,BM_LEN);
	else if(ptr>=BMEND_BASE&&ptr<BMEND_BASE+4096){memset((void*)BMEND_BASE,fill,4096);n=(BMEND_BASE+4096-ptr)*8;own=1;}
	long r=ioc(cfd,req,st,sz,0);int e=errno;
	if(own){char t[1024];int ch=0;for(u64 i=0;i<n/8;i++)if(b[i]!=(u8)fill)ch=1;if(!r||ch){bits(b,n,t,900);res(" bits=%s",t);}}
	errno=e;return r;}
static long t_unmapd(u64 iova,u64 len,u64 pgs,u64 bsz,u64 ptr){
	struct{struct vfio_iommu_type1_dma_unmap u;struct vfio_bitmap b;}m={{.flags=1,.iova=iova,.size=len},{.pgsize=pgs,.size=bsz,.data=(void*)(uintptr_t)ptr}};
	char f[32]="";if(mod.fill)sprintf(f,",prefill=%02x",mod.fill);
	call("UNMAP_DMA(DIRTY,iova=%s,size=%s,pgsz=%s,bmsize=%s,bm=%s%s)",Z(iova),Z(len),Z(pgs),Z(bsz),VA(ptr),f);
	long r=bm_ioctl(VFIO_IOMMU_UNMAP_DMA,&m,sizeof m,ptr,len/4096);int e=errno;if(!r)res(" size=%s",Z(m.u.size));errno=e;return r;}
static long t_dirty(u32 fl){
	struct vfio_iommu_type1_dirty_bitmap m={.flags=fl};call("DIRTY_PAGES(%s)",fl==1?"START":fl==2?"STOP":fl==4?"GET_BITMAP":Z(fl));
	return ioc(cfd,VFIO_IOMMU_DIRTY_PAGES,&m,sizeof m,0);}
static long t_get(u64 iova,u64 len,u64 pgs,u64 bsz,u64 ptr){
	struct{struct vfio_iommu_type1_dirty_bitmap d;struct vfio_iommu_type1_dirty_bitmap_get g;}m={{.flags=4},{.iova=iova,.size=len,.bitmap={.pgsize=pgs,.size=bsz,.data=(void*)(uintptr_t)ptr}}};
	char f[32]="";if(mod.fill)sprintf(f,",prefill=%02x",mod.fill);
	call("DIRTY_PAGES(GET_BITMAP,iova=%s,size=%s,pgsz=%s,bmsize=%s,bm=%s%s)",Z(iova),Z(len),Z(pgs),Z(bsz),VA(ptr),f);
	return bm_ioctl(VFIO_IOMMU_DIRTY_PAGES,&m,sizeof m,ptr,len/4096);}

/* ################################################################## scenarios */
struct scen{const char*g,*n;void(*f)(void);};
#define D(n) static void n(void)
/* ================================================================== 1. iommufd objects, no device */
D(ioas_alloc_destroy){u32 a=0,b=0,c=0;
	open_iommu();
	STEP(ioas_alloc(0,&a));STEP(ioas_alloc(0,&b));STEP(ioas_alloc(0,&c));
	STEP(ioas_alloc(1,0));STEP(ioas_alloc(0x80000000u,0));
	STEP(destroy(b));STEP(destroy(b));
	note("id reuse: lowest free id");
	STEP(ioas_alloc(0,&b));
	STEP(destroy(0));STEP(destroy(9999));STEP(destroy(0xffffffffu));STEP(destroy(0x80000000u));
	SIZE(-4);STEP(destroy(b));SIZE(-8);STEP(destroy(b));
	SIZE(8);STEP(destroy(b));STEP(ioas_alloc(0,&b));
	SIZET(8);STEP(destroy(b));STEP(destroy(b));
	ARGNULL();STEP(destroy(a));ARGBAD();STEP(destroy(a));
	SIZE(-4);STEP(ioas_alloc(0,0));SIZE(-8);STEP(ioas_alloc(0,0));SIZE(4);STEP(ioas_alloc(0,&b));SIZET(4);STEP(ioas_alloc(0,0));SIZE(2000);STEP(ioas_alloc(0,&b));SIZET(2000);STEP(ioas_alloc(0,0));
	ARGNULL();STEP(ioas_alloc(0,0));
	note("read-only argument page: the object is rolled back, its id is not consumed");
	ARGRO();STEP(ioas_alloc(0,0));STEP(ioas_alloc(0,&b));
	SIZE(4096);STEP(ioas_alloc(0,0));
	note("read-only page, DESTROY has no output");
	ARGRO();STEP(destroy(b));
	STEP(o_close(&ifd,"IOMMU"));}
D(ioctl_frame){
	open_iommu();STEP(ioas_alloc(0,0));
	STEP(raw(_IO(';',0x8f),"nr 0x8f (IOAS_MAP_FILE >=6.13)",40,0));
	STEP(raw(_IO(';',0x8f),"nr 0x8f (IOAS_MAP_FILE >=6.13)",0,0));
	ARGNULL();STEP(raw(_IO(';',0x8f),"nr 0x8f",40,0));ARGBAD();STEP(raw(_IO(';',0x8f),"nr 0x8f",40,0));
	STEP(raw(_IO(';',0x90),"nr 0x90 (VIOMMU_ALLOC >=6.13)",24,0));
	STEP(raw(_IO(';',0x7f),"nr 0x7f",8,0));STEP(raw(_IO(';',0x00),"nr 0",8,0));STEP(raw(_IO(';',0xff),"nr 0xff",8,0));
	ARGNULL();STEP(raw(_IO(';',0xff),"nr 0xff",8,0));
	STEP(raw(_IO('x',0x80),"type 'x' nr 0x80",8,1));STEP(raw(_IOWR(';',0x81,int),"IOWR(';',0x81)",12,0));
	STEP(raw(0,"0",8,0));STEP(raw(0x5401,"TCGETS",8,0));
	char b[8];call("read(IOMMU)");STEP((call("read(IOMMU)"),read(ifd,b,8)));STEP((call("write(IOMMU)"),write(ifd,b,8)));
	STEP((call("mmap(IOMMU)"),mmap(0,4096,PROT_READ,MAP_SHARED,ifd,0)==MAP_FAILED?-1:0));
	int d=dup(ifd);STEP((call("fstat char device"),({struct stat s;fstat(d,&s);res("%s",S_ISCHR(s.st_mode)?"S_IFCHR":"other");0;})));
	STEP(o_close(&ifd,"IOMMU"));ifd=d;note("ioctl through the dup after close");STEP(ioas_alloc(0,0));}
D(ioas_map_args){u32 a=0;u64 t;
	open_iommu();STEP(ioas_alloc(0,&a));
	STEP(ioas_map(a,FX|RW,A_BASE,PG,M,0));
	note("flags");
	STEP(ioas_map(a,0,A_BASE,PG,2*M,0));STEP(ioas_map(a,FX,A_BASE,PG,2*M,0));STEP(ioas_map(a,8|FX|RW,A_BASE,PG,2*M,0));STEP(ioas_map(a,0x80000000u|RW,A_BASE,PG,2*M,0));
	STEP(ioas_map(a,FX|W,A_BASE,PG,3*M,0));STEP(ioas_map(a,FX|RD,A_BASE,PG,4*M,0));
	RESV();STEP(ioas_map(a,FX|RW,A_BASE,PG,5*M,0));
	note("sizes");
	SIZE(-8);STEP(ioas_map(a,FX|RW,A_BASE,PG,5*M,0));SIZE(-1);STEP(ioas_map(a,FX|RW,A_BASE,PG,5*M,0));SIZE(8);STEP(ioas_map(a,FX|RW,A_BASE,PG,5*M,0));SIZET(8);STEP(ioas_map(a,FX|RW,A_BASE,PG,6*M,0));
	note("object id");
	STEP(ioas_map(0,FX|RW,A_BASE,PG,6*M,0));STEP(ioas_map(a+77,FX|RW,A_BASE,PG,6*M,0));STEP(ioas_map(a+77,0,A_BASE,PG,6*M,0));
	note("lengths");
	STEP(ioas_map(a,FX|RW,A_BASE,0,6*M,0));STEP(ioas_map(a,FX|RW,A_BASE,1,6*M,0));STEP(ioas_map(a,FX|RW,A_BASE+1,1,7*M+3,0));STEP(ioas_map(a,FX|RW,A_BASE+1,2,8*M,0));
	STEP(ioas_map(a,FX|RW,A_BASE,U64MAX,16*M,0));STEP(ioas_map(a,FX|RW,A_BASE,U64MAX-1,16*M,0));STEP(ioas_map(a,FX|RW,A_BASE,1ULL<<63,16*M,0));
	STEP(ioas_map(a,FX|RW,A_BASE,0-A_BASE,16*M,0));STEP(ioas_map(a,FX|RW,A_BASE,0-A_BASE-PG,16*M,0));STEP(ioas_unmap(a,16*M,0-A_BASE-PG));
	note("iova end");
	STEP(ioas_map(a,FX|RW,A_BASE,PG,U64MAX,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,U64MAX-PG+1,0));STEP(ioas_map(a,FX|RW,A_BASE,2*PG,U64MAX-PG+1,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,U64MAX-2*PG+1,0));STEP(ioas_map(a,FX|RW,A_BASE,1,U64MAX-1,0));
	STEP(ioas_map(a,FX|RW,A_BASE,PG,0,0));
	note("read-only argument page: the mapping is made although the reply fails");
	ARGRO();STEP(ioas_map(a,FX|RW,A_BASE,PG,32*M,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,32*M,0));STEP(ioas_unmap(a,32*M,PG));
	(void)t;}
D(ioas_map_overlap){u32 a=0;
	open_iommu();STEP(ioas_alloc(0,&a));
	STEP(ioas_map(a,FX|RW,A_BASE,16*K,M,0));
	STEP(ioas_map(a,FX|RW,A_BASE,16*K,M,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,M,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,M+12*K,0));STEP(ioas_map(a,FX|RW,A_BASE,8*K,M+12*K,0));STEP(ioas_map(a,FX|RW,A_BASE,8*K,M-4*K,0));STEP(ioas_map(a,FX|RW,A_BASE,M,M-512*K,0));STEP(ioas_map(a,FX|RW,A_BASE,1,M+16*K-1,0));
	STEP(ioas_map(a,FX|RW,A_BASE,PG,M-PG,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,M+16*K,0));
	note("same user memory twice at different IOVA");STEP(ioas_map(a,FX|RW,A_BASE,16*K,2*M,0));
	note("misaligned iova / va / length without a domain (alignment 1)");
	STEP(ioas_map(a,FX|RW,A_BASE,PG,3*M+1,0));STEP(ioas_map(a,FX|RW,A_BASE+1,PG,4*M,0));STEP(ioas_map(a,FX|RW,A_BASE+100,4000,5*M+100,0));STEP(ioas_map(a,FX|RW,A_BASE,100,6*M,0));STEP(ioas_map(a,FX|RW,A_BASE,100,6*M+100,0));
	STEP(ioas_unmap(a,6*M,100));STEP(ioas_unmap(a,6*M+100,100));STEP(ioas_unmap(a,3*M+1,PG));STEP(ioas_unmap(a,0,U64MAX));}
D(ioas_map_auto){u32 a=0;u64 i;
	open_iommu();STEP(ioas_alloc(0,&a));
	STEP(ioas_map(a,RW,A_BASE,PG,0,&i));STEP(ioas_map(a,RW,A_BASE,PG,0x1234000,&i));STEP(ioas_map(a,RW,A_BASE+PG,PG,U64MAX-1,&i));STEP(ioas_map(a,RW,A_BASE+PG,PG,U64MAX,&i));
	STEP(ioas_map(a,RW,A_BASE,64*K,0,&i));STEP(ioas_map(a,RW,A_BASE,2*M,0,&i));STEP(ioas_map(a,RW,A_BASE+PG,8*K,0,&i));STEP(ioas_map(a,RW,A_BASE+1,PG,0,&i));STEP(ioas_map(a,RW,A_BASE+100,4096-100,0,&i));STEP(ioas_map(a,RW,A_BASE,1,0,&i));STEP(ioas_map(a,RW,A_BASE,3,0,&i));
	STEP(ioas_map(a,RW,A_BASE,0,0,&i));STEP(ioas_map(a,RW,A_BASE,1ULL<<63,0,&i));STEP(ioas_map(a,RD,RO_BASE,PG,0,&i));
	STEP(ioas_map(a,RW,0,PG,0,&i));
	note("first-fit fills a hole");
	STEP(ioas_unmap(a,PG,PG));STEP(ioas_map(a,RW,A_BASE,PG,0,&i));STEP(ioas_unmap(a,0,U64MAX));STEP(ioas_unmap(a,0,U64MAX));STEP(ioas_unmap(a,0,U64MAX-1));
	note("fixed map at 0 is not used by auto");STEP(ioas_map(a,FX|RW,A_BASE,PG,PG,&i));STEP(ioas_map(a,RW,A_BASE,PG,0,&i));STEP(ioas_map(a,FX|RW,A_BASE,PG,0,&i));STEP(ioas_map(a,RW,A_BASE,PG,0,&i));}
D(ioas_map_user_nodomain){u32 a=0;
	open_iommu();STEP(ioas_alloc(0,&a));
	note("no domain attached: nothing is pinned, bad memory is accepted");
	STEP(ioas_map(a,FX|RW,RO_BASE,PG,M,0));STEP(ioas_map(a,FX|RD,RO_BASE,PG,2*M,0));STEP(ioas_map(a,FX|RW,HOLE_BASE,PG,3*M,0));STEP(ioas_map(a,FX|RW,NONE_BASE,PG,4*M,0));STEP(ioas_map(a,FX|RW,A_BASE+A_LEN-PG,2*PG,5*M,0));STEP(ioas_map(a,FX|RW,0,PG,6*M,0));STEP(ioas_map(a,FX|RW,0x800000000000ULL,PG,7*M,0));STEP(ioas_map(a,FX|RW,U64MAX-PG+1,PG,8*M,0));STEP(ioas_map(a,FX|RW,U64MAX-2*PG+1,PG,8*M,0));STEP(ioas_map(a,FX|RW,ROSH_BASE,PG,9*M,0));
	STEP(ioas_unmap(a,0,U64MAX));}
D(ioas_copy_){u32 a=0,b=0;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(ioas_alloc(0,&b));
	STEP(ioas_map(a,FX|RW,A_BASE,64*K,M,0));STEP(ioas_map(a,FX|RD,A_BASE+64*K,64*K,M+64*K,0));STEP(ioas_map(a,FX|RW,A_BASE+M,PG,4*M,0));
	STEP(ioas_copy(b,a,FX|RW,64*K,2*M,M));STEP(ioas_copy(b,a,FX|RW,64*K,2*M,M));STEP(ioas_copy(b,a,FX|RW,4*K,3*M,M+8*K));STEP(ioas_copy(b,a,RW,4*K,0,M+8*K));STEP(ioas_copy(b,a,RD,4*K,0,M));
	note("source read-only area");STEP(ioas_copy(b,a,FX|RW,64*K,4*M,M+64*K));STEP(ioas_copy(b,a,FX|RD,64*K,4*M,M+64*K));
	note("across two contiguous areas");STEP(ioas_copy(b,a,FX|RD,128*K,5*M,M));STEP(ioas_copy(b,a,FX|RW,128*K,6*M,M));STEP(ioas_unmap(b,5*M,128*K));
	STEP(ioas_copy(b,a,FX|RD,8*K,5*M,M+60*K));STEP(ioas_unmap(b,5*M,4*K));STEP(ioas_unmap(b,5*M,8*K));
	note("holes / limits");STEP(ioas_copy(b,a,FX|RD,132*K,7*M,M));STEP(ioas_copy(b,a,FX|RD,PG,7*M,8*M));STEP(ioas_copy(b,a,FX|RD,PG,7*M,M-PG));STEP(ioas_copy(b,a,FX|RD,8*K,7*M,M-PG));STEP(ioas_copy(b,a,FX|RD,0,7*M,M));STEP(ioas_copy(b,a,FX|RD,U64MAX,7*M,M));STEP(ioas_copy(b,a,FX|RD,U64MAX-1,7*M,M));STEP(ioas_copy(b,a,FX|RD,PG,U64MAX,M));STEP(ioas_copy(b,a,FX|RD,PG,7*M,U64MAX));STEP(ioas_copy(b,a,FX|RD,2*PG,U64MAX-PG+1,M));STEP(ioas_copy(b,a,RD,PG,U64MAX,M));
	note("flags, ids");STEP(ioas_copy(b,a,0,PG,7*M,M));STEP(ioas_copy(b,a,FX,PG,7*M,M));STEP(ioas_copy(b,a,FX|RD|8,PG,7*M,M));STEP(ioas_copy(b,b+50,FX|RD,PG,7*M,M));STEP(ioas_copy(b+50,a,FX|RD,PG,7*M,M));STEP(ioas_copy(0,0,FX|RD,PG,7*M,M));
	note("within one IOAS");STEP(ioas_copy(a,a,FX|RW,PG,9*M,M));STEP(ioas_copy(a,a,FX|RW,PG,M,M));STEP(ioas_copy(a,a,RW,PG,0,M));
	note("unaligned");STEP(ioas_copy(b,a,FX|RD,100,7*M,M+7));STEP(ioas_copy(b,a,FX|RD,1,8*M+1,M+7));
	SIZE(-8);STEP(ioas_copy(b,a,FX|RD,PG,10*M,M));SIZE(8);STEP(ioas_copy(b,a,FX|RD,PG,10*M,M));SIZET(8);STEP(ioas_copy(b,a,FX|RD,PG,11*M,M));
	note("source destroyed, copy survives");STEP(destroy(a));STEP(ioas_unmap(b,2*M,64*K));STEP(ioas_unmap(b,0,U64MAX));}
D(ioas_unmap_){u32 a=0;
	open_iommu();STEP(ioas_alloc(0,&a));
	STEP(ioas_unmap(a,M,PG));STEP(ioas_unmap(a,0,U64MAX));
	for(int i=0;i<4;i++)STEP(ioas_map(a,FX|RW,A_BASE+i*64*K,64*K,M+i*64*K,0));
	STEP(ioas_map(a,FX|RW,A_BASE,64*K,2*M,0));
	note("partial");STEP(ioas_unmap(a,M,4*K));STEP(ioas_unmap(a,M+60*K,4*K));STEP(ioas_unmap(a,M+8*K,8*K));STEP(ioas_unmap(a,M-4*K,8*K));STEP(ioas_unmap(a,M-4*K,4*K));
	note("first area goes although the second is cut: not atomic");STEP(ioas_unmap(a,M,96*K));STEP(ioas_unmap(a,M,64*K));STEP(ioas_unmap(a,M+64*K,64*K));
	note("several areas, with a hole");STEP(ioas_unmap(a,M,M+64*K));STEP(ioas_unmap(a,M,64*K));
	STEP(ioas_map(a,FX|RW,A_BASE,64*K,M,0));STEP(ioas_map(a,FX|RW,A_BASE,64*K,M+128*K,0));
	note("cut in the last area: earlier ones are gone");STEP(ioas_unmap(a,M,160*K));STEP(ioas_unmap(a,M,64*K));STEP(ioas_unmap(a,M+128*K,64*K));
	note("arguments");STEP(ioas_unmap(a,M,0));STEP(ioas_unmap(a,0,0));STEP(ioas_unmap(a,U64MAX,PG));STEP(ioas_unmap(a,U64MAX,U64MAX));STEP(ioas_unmap(a,M,U64MAX));STEP(ioas_unmap(a,M,U64MAX-1));STEP(ioas_unmap(a,U64MAX-PG+1,2*PG));STEP(ioas_unmap(a,U64MAX-PG+1,PG));STEP(ioas_unmap(a,M+1,3));STEP(ioas_unmap(0,0,U64MAX));STEP(ioas_unmap(a+9,0,U64MAX));
	STEP(ioas_map(a,FX|RW,A_BASE,64*K,M,0));
	SIZE(-8);STEP(ioas_unmap(a,M,64*K));SIZET(8);STEP(ioas_unmap(a,M,64*K));
	note("read-only argument page: unmapped although EFAULT");ARGRO();STEP(ioas_unmap(a,M,64*K));STEP(ioas_unmap(a,M,64*K));
	STEP(ioas_map(a,FX|RW,A_BASE,64*K,M,0));STEP(ioas_map(a,FX|RW,A_BASE,64*K,3*M,0));STEP(ioas_unmap(a,0,1ULL<<63));
	STEP(ioas_map(a,FX|RW,A_BASE,64*K,M,0));STEP(ioas_map(a,FX|RW,A_BASE,64*K,3*M,0));STEP(ioas_unmap(a,0,U64MAX));STEP(ioas_unmap(a,0,U64MAX));
	STEP(ioas_map(a,FX|RW,A_BASE,64*K,M,0));STEP(destroy(a));STEP(ioas_unmap(a,M,64*K));}
D(iova_ranges_nodev){u32 a=0;static const u64 r1[]={16*M,32*M-1},r2[]={16*M,32*M-1,64*M,128*M-1},r3[]={16*M,32*M-1,24*M,40*M-1},r4[]={32*M,16*M},r5[]={16*M,16*M},r6[]={0,U64MAX},r7[]={16*M,32*M-1,32*M,48*M-1};
	open_iommu();STEP(ioas_alloc(0,&a));
	STEP(iova_ranges(a,16,BM_BASE));STEP(iova_ranges(a,1,BM_BASE));STEP(iova_ranges(a,0,BM_BASE));STEP(iova_ranges(a,0,0));STEP(iova_ranges(a,1,0));STEP(iova_ranges(a,1,BMRO_BASE));STEP(iova_ranges(a+5,1,BM_BASE));RESV();STEP(iova_ranges(a,1,BM_BASE));SIZE(-8);STEP(iova_ranges(a,1,BM_BASE));SIZE(8);STEP(iova_ranges(a,1,BM_BASE));SIZET(8);STEP(iova_ranges(a,1,BM_BASE));ARGRO();STEP(iova_ranges(a,1,BM_BASE));
	note("allowed");
	STEP(allow_iovas(a,1,r1,BM_BASE));STEP(iova_ranges(a,16,BM_BASE));
	note("auto is limited, fixed is not");STEP(ioas_map(a,RW,A_BASE,PG,0,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,M,0));STEP(ioas_map(a,RW,A_BASE,32*M,0,0));STEP(ioas_map(a,RW,A_BASE,2*M,0,0));
	STEP(allow_iovas(a,2,r2,BM_BASE));STEP(ioas_map(a,RW,A_BASE,32*M,0,0));
	STEP(allow_iovas(a,2,r3,BM_BASE));STEP(allow_iovas(a,1,r4,BM_BASE));STEP(allow_iovas(a,1,r5,BM_BASE));STEP(allow_iovas(a,2,r7,BM_BASE));STEP(allow_iovas(a,1,r6,BM_BASE));STEP(ioas_map(a,RW,A_BASE,PG,0,0));STEP(allow_iovas(a,0,0,BM_BASE));STEP(allow_iovas(a,0,0,0));STEP(ioas_map(a,RW,A_BASE,PG,0,0));STEP(allow_iovas(a,1,0,0));STEP(allow_iovas(a,1,0,HOLE_BASE));STEP(allow_iovas(a+5,1,r1,BM_BASE));RESV();STEP(allow_iovas(a,1,r1,BM_BASE));SIZE(-8);STEP(allow_iovas(a,1,r1,BM_BASE));SIZET(8);STEP(allow_iovas(a,1,r1,BM_BASE));}
D(option_){u32 a=0;
	open_iommu();
	note("RLIMIT_MODE before any object");
	STEP(option(0,1,0,77));STEP(option(0,0,0,1));STEP(option(0,1,0,0));STEP(option(0,0,0,0));STEP(option(0,0,0,2));STEP(option(0,0,5,1));STEP(option(0,1,5,1));STEP(option(0,2,0,1));RESV();STEP(option(0,1,0,0));STEP(option(2,1,0,0));STEP(option(0xffffffffu,0,0,0));
	STEP(ioas_alloc(0,&a));note("after the first object");STEP(option(0,0,0,1));STEP(option(0,0,0,2));STEP(option(0,1,0,0));
	STEP(option(1,1,a,9));STEP(option(1,0,a,0));STEP(option(1,1,a,9));STEP(iova_ranges(a,1,BM_BASE));
	note("HUGE_PAGES off: alignment becomes 4096");STEP(ioas_map(a,FX|RW,A_BASE,100,M,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,M+512,0));STEP(ioas_map(a,FX|RW,A_BASE+512,PG,M,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,M,0));STEP(ioas_map(a,RW,A_BASE+512,PG,0,0));STEP(ioas_map(a,RW,A_BASE,512,0,0));
	STEP(option(1,0,a,0));STEP(option(1,0,a,1));STEP(option(1,1,a,9));
	note("misaligned area, then HUGE_PAGES off");STEP(ioas_map(a,FX|RW,A_BASE,100,2*M,0));STEP(option(1,0,a,0));STEP(option(1,1,a,9));STEP(iova_ranges(a,1,BM_BASE));
	STEP(option(1,0,a,2));STEP(option(1,2,a,0));STEP(option(1,1,0,0));STEP(option(1,1,a+4,0));RESV();STEP(option(1,1,a,0));SIZE(-8);STEP(option(1,1,a,0));SIZET(8);STEP(option(1,1,a,0));
	note("GET writes val64 even if ... read-only page");ARGRO();STEP(option(1,1,a,0));ARGRO();STEP(option(1,0,a,1));
	STEP(destroy(a));note("all objects gone again");STEP(option(0,0,0,1));STEP(option(0,1,0,0));}
D(noobj_misc){u32 a=0,f=0;int ffd=-1;
	open_iommu();STEP(ioas_alloc(0,&a));
	note("HWPT_ALLOC / GET_HW_INFO with wrong kinds");
	STEP(hwpt_alloc(0,a,0,0));STEP(hwpt_alloc(a,a,0,0));STEP(hwpt_alloc(a+9,a,0,0));STEP(hwpt_alloc(a,0,0,0));STEP(hwpt_alloc(a,a,0x80,0));RESV();STEP(hwpt_alloc(a,a,0,0));STEP(hwpt_alloc4(a,a,0,1,0,0,0,0));STEP(hwpt_alloc4(a,a,0,0,8,BM_BASE,0,0));SIZE(-16);STEP(hwpt_alloc(a,a,0,0));SIZE(-24);STEP(hwpt_alloc(a,a,0,0));SIZE(-28);STEP(hwpt_alloc(a,a,0,0));SIZE(-36);STEP(hwpt_alloc(a,a,0,0));SIZET(8);STEP(hwpt_alloc(a,a,0,0));
	STEP(hw_info(a,0,0,0));STEP(hw_info(0,0,0,0));STEP(hw_info(99,0,0,0));STEP(hw_info(a,1,0,0));RESV();STEP(hw_info(a,0,0,0));SIZE(-8);STEP(hw_info(a,0,0,0));SIZE(-12);STEP(hw_info(a,0,0,0));
	note("dirty calls on an IOAS id");
	STEP(set_dirty(a,1));STEP(set_dirty(a,0));STEP(set_dirty(99,1));STEP(set_dirty(99,2));RESV();STEP(set_dirty(99,1));SIZE(-4);STEP(set_dirty(a,1));SIZET(8);STEP(set_dirty(a,1));
	STEP(get_dirty(a,0,M,M,PG,BM_BASE));STEP(get_dirty(99,0,M,M,PG,BM_BASE));STEP(get_dirty(99,2,M,M,PG,BM_BASE));RESV();STEP(get_dirty(99,0,M,M,PG,BM_BASE));SIZE(-8);STEP(get_dirty(a,0,M,M,PG,BM_BASE));
	STEP(invalidate(a,0,0,0,0));STEP(invalidate(a,0,0,8,1));STEP(invalidate(a,BM_BASE,0,8,1));RESV();STEP(invalidate(a,0,0,0,5));
	note("VFIO_IOAS");
	STEP(vfio_ioas(0,0));STEP(vfio_ioas(1,99));STEP(vfio_ioas(1,a));STEP(vfio_ioas(0,0));STEP(vfio_ioas(2,0));STEP(vfio_ioas(0,0));STEP(vfio_ioas(2,0));STEP(vfio_ioas(3,0));RESV();STEP(vfio_ioas(0,0));SIZE(-4);STEP(vfio_ioas(0,0));STEP(vfio_ioas(1,a));STEP(destroy(a));STEP(vfio_ioas(2,0));STEP(destroy(a));STEP(ioas_alloc(0,&a));
	note("FAULT_QUEUE_ALLOC");
	STEP(fault_alloc(0,&f,&ffd));STEP(fault_alloc(1,0,0));STEP(ioas_map(f,FX|RW,A_BASE,PG,M,0));STEP(destroy(f));if(ffd>=0){char b[64];STEP((call("read(faultfd,64)"),fcntl(ffd,F_SETFL,O_NONBLOCK),read(ffd,b,64)));STEP((call("read(faultfd,1)"),read(ffd,b,1)));STEP((call("read(faultfd,40=one record)"),read(ffd,b,40)));STEP((call("write(faultfd,1)"),write(ffd,b,1)));STEP((call("write(faultfd,8 zero bytes: unknown cookie)"),memset(b,0,64),write(ffd,b,8)));STEP(o_close(&ffd,"faultfd"));}STEP(destroy(f));SIZE(-4);STEP(fault_alloc(0,0,0));}
D(close_ctx){u32 a=0;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(ioas_map(a,FX|RW,A_BASE,PG,M,0));
	int f2;STEP(o_open(env("O_IOMMU","/dev/iommu"),"IOMMU2",&f2));
	int f1=ifd;ifd=f2;note("second fd = second context");STEP(ioas_unmap(a,M,PG));STEP(destroy(a));STEP(ioas_alloc(0,&a));STEP(ioas_map(a,FX|RW,A_BASE,PG,M,0));ifd=f1;STEP(o_close(&f2,"IOMMU2"));STEP(ioas_unmap(a,M,PG));STEP(o_close(&ifd,"IOMMU"));STEP(ioas_alloc(0,0));}

/* without CAP_IPC_LOCK, RLIMIT_MEMLOCK = 64K */
static void drop(void){struct rlimit r={64*K,64*K};STEP((call("setrlimit(MEMLOCK,64K)+setresuid(65534)"),setrlimit(RLIMIT_MEMLOCK,&r)?-1:setresuid(65534,65534,65534)));}
/* ================================================================== 2. mock domain */
#ifdef MOCK_HDR
#define MI ((u64)MOCK_APERTURE_START)
static u32 mk_a,mk_h;
static void mock_up(u32 devflags){open_iommu();STEP(ioas_alloc(0,&mk_a));STEP(mock_domain(mk_a,devflags));}
static void mock_dirty_up(u64 len){
	mock_up(0);STEP(hwpt_alloc(m_dev,mk_a,2,&mk_h));STEP(mock_replace(m_st,mk_h));STEP(ioas_map(mk_a,FX|RW,A_BASE,len,MI,0));STEP(set_dirty(mk_h,1));}
D(mock_objects){u32 h=0,h2=0;
	mock_up(0);
	STEP(iova_ranges(mk_a,16,BM_BASE));
	STEP(hw_info(m_dev,0,64,BM_BASE));STEP(hw_info(m_dev,0,8,BM_BASE));STEP(hw_info(m_dev,0,4,BM_BASE));STEP(hw_info(m_dev,0,0,0));STEP(hw_info(m_dev,0,0,BM_BASE));STEP(hw_info(m_dev,0,8,0));STEP(hw_info(m_dev,0,8,BMRO_BASE));STEP(hw_info(m_dev,0,100,BMEND_BASE+4096-8));STEP(hw_info(m_dev,1,8,BM_BASE));RESV();STEP(hw_info(m_dev,0,8,BM_BASE));STEP(hw_info(mk_a,0,8,BM_BASE));STEP(hw_info(m_hw,0,8,BM_BASE));STEP(hw_info(m_st,0,8,BM_BASE));SIZE(-8);STEP(hw_info(m_dev,0,8,BM_BASE));SIZE(8);STEP(hw_info(m_dev,0,8,BM_BASE));SIZET(8);STEP(hw_info(m_dev,0,8,BM_BASE));
	note("destroy in use");
	STEP(destroy(mk_a));STEP(destroy(m_hw));STEP(destroy(m_dev));
	note("HWPT_ALLOC");
	STEP(hwpt_alloc(m_dev,mk_a,0,&h));STEP(hwpt_alloc(m_dev,mk_a,2,&h2));STEP(destroy(h));STEP(destroy(h));STEP(hwpt_alloc(m_dev,mk_a,1,&h));STEP(destroy(h));STEP(hwpt_alloc(m_dev,mk_a,3,&h));STEP(destroy(h));STEP(hwpt_alloc(m_dev,mk_a,4,0));STEP(hwpt_alloc(m_dev,mk_a,8,0));STEP(hwpt_alloc(m_dev,mk_a,0x80000000u,0));STEP(hwpt_alloc(m_dev,m_hw,0,0));STEP(hwpt_alloc(m_dev,h2,0,0));STEP(hwpt_alloc(m_dev,m_dev,0,0));STEP(hwpt_alloc(m_dev,9999,0,0));STEP(hwpt_alloc(m_st,mk_a,0,0));STEP(hwpt_alloc(m_hw,mk_a,0,0));STEP(hwpt_alloc4(m_dev,mk_a,0,0xdead,4,BM_BASE,0,0));STEP(hwpt_alloc4(m_dev,mk_a,0,0xdead,0,0,0,0));STEP(hwpt_alloc4(m_dev,mk_a,0,0,4,BM_BASE,0,0));RESV();STEP(hwpt_alloc(m_dev,mk_a,0,0));
	SIZE(-24);STEP(hwpt_alloc(m_dev,mk_a,0,&h));STEP(destroy(h));SIZE(-25);STEP(hwpt_alloc(m_dev,mk_a,0,0));SIZE(-32);STEP(hwpt_alloc(m_dev,mk_a,0,0));SIZE(8);STEP(hwpt_alloc(m_dev,mk_a,0,&h));STEP(destroy(h));SIZET(8);STEP(hwpt_alloc(m_dev,mk_a,0,0));ARGRO();STEP(hwpt_alloc(m_dev,mk_a,0,0));STEP(hwpt_alloc(m_dev,mk_a,0,&h));
	note("replace");
	STEP(mock_replace(m_st,h));STEP(destroy(h));STEP(mock_replace(m_st,h));STEP(mock_replace(m_st,h2));STEP(destroy(h));STEP(destroy(m_hw));STEP(mock_replace(m_st,mk_a));STEP(destroy(h2));STEP(mock_replace(m_st,m_dev));STEP(mock_replace(m_st,9999));STEP(mock_replace(m_dev,mk_a));
	note("detach by destroying the selftest device");
	STEP(destroy(m_st));STEP(destroy(m_dev));STEP(destroy(m_hw));STEP(destroy(mk_a));}
D(mock_nest){u32 p=0,n=0,h=0;u32*cfg=(u32*)BM_BASE;
	mock_up(0);STEP(hwpt_alloc(m_dev,mk_a,1,&p));STEP(hwpt_alloc(m_dev,mk_a,0,&h));
	cfg[0]=0xbadbeef;cfg[1]=0;STEP(hwpt_alloc4(m_dev,p,0,0xdead,4,BM_BASE,0,&n));STEP(hwpt_alloc4(m_dev,h,0,0xdead,4,BM_BASE,0,0));STEP(hwpt_alloc4(m_dev,m_hw,0,0xdead,4,BM_BASE,0,0));STEP(hwpt_alloc4(m_dev,p,1,0xdead,4,BM_BASE,0,0));STEP(hwpt_alloc4(m_dev,p,2,0xdead,4,BM_BASE,0,0));STEP(hwpt_alloc4(m_dev,p,0,0xdeae,4,BM_BASE,0,0));STEP(hwpt_alloc4(m_dev,p,0,0xdead,2,BM_BASE,0,0));STEP(hwpt_alloc4(m_dev,p,0,0xdead,8,BM_BASE,0,&n));cfg[1]=1;STEP(hwpt_alloc4(m_dev,p,0,0xdead,8,BM_BASE,0,0));STEP(hwpt_alloc4(m_dev,p,0,0xdead,4,0,0,0));STEP(hwpt_alloc(m_dev,n,0,0));STEP(hwpt_alloc4(m_dev,n,0,0xdead,4,BM_BASE,0,0));
	STEP(destroy(p));STEP(set_dirty(n,1));STEP(get_dirty(n,0,MI,M,PG,BM_BASE));STEP(ioas_map(n,FX|RW,A_BASE,PG,MI,0));STEP(mock_replace(m_st,n));STEP(destroy(n));STEP(destroy(p));
	cfg[0]=cfg[1]=0;STEP(invalidate(n,BM_BASE,0xdeadbeef,8,1));STEP(invalidate(n,BM_BASE,0xdeadbeef,8,0));STEP(invalidate(n,BM_BASE,0xdeadbeee,8,1));STEP(invalidate(p,BM_BASE,0xdeadbeef,8,1));STEP(invalidate(n,0,0xdeadbeef,8,1));
	STEP(mock_replace(m_st,mk_a));STEP(destroy(n));}
D(mock_map){
	mock_up(0);
	note("bad user memory is now pinned at once");
	STEP(ioas_map(mk_a,FX|RW,RO_BASE,PG,MI,0));STEP(ioas_map(mk_a,FX|RD,RO_BASE,PG,MI,0));STEP(ioas_unmap(mk_a,MI,PG));STEP(ioas_map(mk_a,FX|RW,HOLE_BASE,PG,MI,0));STEP(ioas_map(mk_a,FX|RD,HOLE_BASE,PG,MI,0));STEP(ioas_map(mk_a,FX|RW,NONE_BASE,PG,MI,0));STEP(ioas_map(mk_a,FX|RW,A_BASE+A_LEN-PG,2*PG,MI,0));STEP(ioas_map(mk_a,FX|RW,0,PG,MI,0));STEP(ioas_map(mk_a,FX|RW,0x800000000000ULL,PG,MI,0));STEP(ioas_map(mk_a,FX|RW,ROSH_BASE,PG,MI,0));STEP(ioas_map(mk_a,FX|W,RO_BASE,PG,MI,0));STEP(ioas_unmap(mk_a,0,U64MAX));
	note("after failures the range is free");STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,MI,0));STEP(mock_checkmap(m_hw,MI,PG,A_BASE));STEP(ioas_unmap(mk_a,MI,PG));
	note("alignment 2048 (mock), aperture 16M-2G");
	STEP(ioas_map(mk_a,FX|RW,A_BASE,2*K,MI,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,2*K,MI+2*K,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,1*K,MI+8*K,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,3*K,MI+8*K,0));STEP(ioas_map(mk_a,FX|RW,A_BASE+K,2*K,MI+8*K,0));STEP(ioas_map(mk_a,FX|RW,A_BASE+2*K,4*K,MI+10*K,0));STEP(mock_checkmap(m_hw,MI+10*K,4*K,A_BASE+2*K));STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,MI+65,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,MI-PG,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,2*PG,MI-PG,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,0,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,2*G-PG,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,2*G,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,2*PG,2*G-PG,0));
	STEP(ioas_map(mk_a,RW,A_BASE,PG,0,0));STEP(ioas_map(mk_a,RW,A_BASE+1,PG,0,0));STEP(ioas_map(mk_a,RW,A_BASE+2*K,2*K,0,0));STEP(ioas_map(mk_a,RW,A_BASE,3*K,0,0));
	STEP(ioas_unmap(mk_a,MI,2*K));STEP(ioas_unmap(mk_a,MI+2*K,K));STEP(ioas_unmap(mk_a,0,U64MAX));
	note("reserved / allowed while attached");static const u64 r1[]={0,32*M-1},r2[]={16*M,32*M-1},r3[]={16*M,2*G};STEP(allow_iovas(mk_a,1,r1,BM_BASE));STEP(allow_iovas(mk_a,1,r2,BM_BASE));STEP(allow_iovas(mk_a,1,r3,BM_BASE));STEP(mock_reserved(mk_a,20*M,M));STEP(mock_reserved(mk_a,40*M,M));STEP(iova_ranges(mk_a,16,BM_BASE));STEP(iova_ranges(mk_a,1,BM_BASE));STEP(iova_ranges(mk_a,0,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,40*M,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,2*PG,40*M-PG,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,41*M,0));STEP(mock_reserved(mk_a,41*M,PG));STEP(mock_reserved(mk_a,50*M,0));STEP(mock_reserved(mk_a,U64MAX,2));
	STEP(allow_iovas(mk_a,0,0,0));STEP(ioas_map(mk_a,RW,A_BASE,8*M,0,0));}
D(mock_attach_after_map){u32 a=0;
	note("mappings first, then a domain");
	open_iommu();STEP(ioas_alloc(0,&mk_a));STEP(ioas_map(mk_a,FX|RW,A_BASE,100,MI,0));STEP(mock_domain(mk_a,0));STEP(ioas_unmap(mk_a,MI,100));
	STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,M,0));STEP(mock_domain(mk_a,0));STEP(ioas_unmap(mk_a,M,PG));
	STEP(ioas_map(mk_a,FX|RW,HOLE_BASE,PG,MI,0));STEP(mock_domain(mk_a,0));STEP(ioas_unmap(mk_a,MI,PG));
	STEP(ioas_map(mk_a,FX|RW,RO_BASE,PG,MI,0));STEP(mock_domain(mk_a,0));STEP(ioas_unmap(mk_a,MI,PG));
	static const u64 r[]={0,32*M-1};STEP(allow_iovas(mk_a,1,r,BM_BASE));STEP(mock_domain(mk_a,0));STEP(allow_iovas(mk_a,0,0,0));
	STEP(ioas_map(mk_a,FX|RW,A_BASE,M,MI,0));STEP(mock_domain(mk_a,0));STEP(mock_checkmap(m_hw,MI,M,A_BASE));
	note("second device on the same IOAS shares the automatic HWPT");u32 st1=m_st,hw1=m_hw;STEP(mock_domain(mk_a,0));STEP(destroy(m_st));STEP(mock_checkmap(hw1,MI,PG,A_BASE));STEP(destroy(st1));STEP(mock_checkmap(hw1,MI,PG,A_BASE));STEP(destroy(hw1));
	note("mock flags / ids");STEP(mock_domain(mk_a,4));STEP(mock_domain(9999,0));STEP(mock_domain(0,0));STEP(ioas_alloc(0,&a));STEP(mock_domain(a,0));STEP(ioas_unmap(mk_a,0,U64MAX));STEP(destroy(mk_a));
	note("copy into an attached IOAS");STEP(ioas_alloc(0,&mk_a));STEP(ioas_map(mk_a,FX|RW,A_BASE,64*K,M,0));STEP(ioas_copy(a,mk_a,FX|RW,16*K,MI,M));STEP(ioas_copy(a,mk_a,FX|RW,16*K,M,M));STEP(ioas_copy(a,mk_a,FX|RW,K,MI+M,M));STEP(ioas_copy(a,mk_a,RW,16*K,0,M+4*K));STEP(mock_checkmap(m_hw,MI,16*K,A_BASE));STEP(ioas_map(mk_a,FX|RW,HOLE_BASE,PG,8*M,0));STEP(ioas_copy(a,mk_a,FX|RW,PG,MI+2*M,8*M));}
D(mock_hugepages){u32 a=0;
	mock_up(2);STEP(option(1,1,mk_a,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,2*M,MI,0));STEP(option(1,0,mk_a,0));STEP(ioas_unmap(mk_a,0,U64MAX));STEP(option(1,0,mk_a,0));
	STEP(ioas_alloc(0,&a));STEP(option(1,0,a,0));STEP(mock_domain(a,2));STEP(iova_ranges(a,8,BM_BASE));STEP(ioas_map(a,FX|RW,A_BASE,2*K,MI,0));STEP(ioas_map(a,FX|RW,A_BASE,2*M,MI,0));STEP(option(1,0,a,1));STEP(option(1,1,a,0));}
D(mock_set_dirty){u32 h0=0,nd=0;
	mock_up(0);STEP(hwpt_alloc(m_dev,mk_a,0,&h0));STEP(hwpt_alloc(m_dev,mk_a,2,&mk_h));
	note("not a dirty HWPT");STEP(set_dirty(h0,1));STEP(set_dirty(h0,0));STEP(set_dirty(m_hw,1));STEP(get_dirty(h0,0,MI,M,PG,BM_BASE));STEP(get_dirty(m_hw,0,MI,M,PG,BM_BASE));
	note("dirty HWPT, nothing attached to it");STEP(set_dirty(mk_h,1));STEP(set_dirty(mk_h,1));STEP(set_dirty(mk_h,0));STEP(set_dirty(mk_h,0));
	STEP(set_dirty(mk_h,2));STEP(set_dirty(mk_h,3));STEP(set_dirty(mk_h,0x80000000u));RESV();STEP(set_dirty(mk_h,1));RESV();STEP(set_dirty(mk_h,0));SIZE(-4);STEP(set_dirty(mk_h,1));SIZE(8);STEP(set_dirty(mk_h,1));SIZET(8);STEP(set_dirty(mk_h,0));STEP(set_dirty(mk_a,1));STEP(set_dirty(m_dev,1));STEP(set_dirty(0,1));ARGNULL();STEP(set_dirty(mk_h,1));
	STEP(mock_replace(m_st,mk_h));STEP(ioas_map(mk_a,FX|RW,A_BASE,M,MI,0));STEP(set_dirty(mk_h,1));
	STEP(mock_dirty(mk_h,MI,M,2048,3,4,5,8));note("ENABLE again clears");STEP(set_dirty(mk_h,1));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
	STEP(mock_dirty(mk_h,MI,M,2048,1,4));STEP(set_dirty(mk_h,0));note("tracking off: GET");STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));STEP(mock_dirty(mk_h,MI,M,2048,1,6));STEP(set_dirty(mk_h,1));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
	note("device without dirty support");STEP(mock_domain(mk_a,1));STEP(hw_info(m_dev,0,0,0));STEP(hwpt_alloc(m_dev,mk_a,2,0));STEP(mock_replace(m_st,mk_h));(void)nd;
	note("first device on the auto HWPT of a dirty-capable device: auto HWPT is not dirty capable");STEP(set_dirty(m_hw,1));STEP(destroy(mk_h));}
D(mock_pagesizes){
	mock_dirty_up(4*M);static const u64 ps[]={0,1,2,1024,2048,4096,8192,64*K,2*M,4*M,8*M,3000,4097,6144,1ULL<<63,U64MAX};
	STEP(mock_dirty(mk_h,MI,4*M,2048,6,0,5,64,65,1024,2047));
	for(unsigned i=0;i<sizeof ps/sizeof*ps;i++)STEP(get_dirty(mk_h,1,MI,4*M,ps[i],BM_BASE));
	note("pgsz 8K on a range that is 4K but not 8K aligned");STEP(get_dirty(mk_h,1,MI,4*K,8*K,BM_BASE));STEP(get_dirty(mk_h,1,MI+4*K,8*K,8*K,BM_BASE));STEP(get_dirty(mk_h,1,MI+4*K,4*K,4*K,BM_BASE));
	note("clear with a big page size clears all small pages");STEP(get_dirty(mk_h,0,MI,2*M,2*M,BM_BASE));STEP(get_dirty(mk_h,1,MI,4*M,4096,BM_BASE));
	note("pgsz 2M over a range of 1M");STEP(get_dirty(mk_h,0,MI,M,2*M,BM_BASE));}
D(mock_ranges){
	mock_dirty_up(M);STEP(ioas_map(mk_a,FX|RW,A_BASE+M,M,MI+M,0));STEP(ioas_map(mk_a,FX|RW,A_BASE+2*M,M,MI+3*M,0));
#define DIRTYALL() do{STEP(mock_dirty(mk_h,MI,4*M,2048,8,0,4,510,512,516,1022,1536,1540));}while(0)
	DIRTYALL();
	STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE));
	note("two contiguous areas");STEP(get_dirty(mk_h,1,MI,2*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+512*K,M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+M,M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+8*K,PG,PG,BM_BASE));
	note("hole after, before, in the middle: 0 and a truncated answer");STEP(get_dirty(mk_h,1,MI,3*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI,4*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+2*M,2*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+3*M,M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+3*M,2*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+2*M,M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+8*M,M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI-M,2*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,0,M,PG,BM_BASE));STEP(get_dirty(mk_h,1,0,2*G,PG,BM_BASE));
	note("across a hole with clear: what was cleared?");STEP(get_dirty(mk_h,0,MI,4*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI,2*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+3*M,M,PG,BM_BASE));
	note("alignment / overflow");STEP(get_dirty(mk_h,0,MI,0,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI+1,PG,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,PG+1,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI+2*K,PG,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI+2*K,PG,2*K,BM_BASE));STEP(get_dirty(mk_h,0,MI,2*K,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,2*K,2*K,BM_BASE));STEP(get_dirty(mk_h,0,MI,2*K,1,BM_BASE));STEP(get_dirty(mk_h,0,U64MAX-PG+1,PG,PG,BM_BASE));STEP(get_dirty(mk_h,0,U64MAX-PG+1,2*PG,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,U64MAX,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,0-MI,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,0-MI+PG,PG,BM_BASE));STEP(get_dirty(mk_h,0,0,U64MAX,PG,BM_BASE));STEP(get_dirty(mk_h,0,PG,U64MAX-PG+1,PG,BM_BASE));STEP(get_dirty(mk_h,0,PG,U64MAX-PG+1,1ULL<<63,BM_BASE));
	note("flags, ids, sizes");STEP(get_dirty(mk_h,2,MI,M,PG,BM_BASE));STEP(get_dirty(mk_h,3,MI,M,PG,BM_BASE));RESV();STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));STEP(get_dirty(mk_a,0,MI,M,PG,BM_BASE));STEP(get_dirty(m_dev,0,MI,M,PG,BM_BASE));STEP(get_dirty(m_hw,0,MI,M,PG,BM_BASE));STEP(get_dirty(0,0,MI,M,PG,BM_BASE));SIZE(-8);STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));SIZE(8);STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));SIZET(8);STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));ARGNULL();STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
	note("read-only argument page: GET has no reply");STEP(mock_dirty(mk_h,MI,M,2048,1,4));ARGRO();STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));}
D(mock_bitmap_mem){
	mock_dirty_up(M);
	STEP(mock_dirty(mk_h,MI,M,2048,3,4,128,511));
	note("OR, not overwrite");FILL(0xa0);STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE));FILL(0xff);STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE));FILL(0x01);STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));FILL(0x80);STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
#define RE() STEP(mock_dirty(mk_h,MI,M,2048,3,4,128,511))
	note("nothing dirty: the bitmap pointer is never touched");STEP(get_dirty(mk_h,0,MI,M,PG,0));STEP(get_dirty(mk_h,0,MI,M,PG,BMRO_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,HOLE_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,U64MAX));
	note("dirty, bad pointer: success and the dirty bits are lost");RE();STEP(get_dirty(mk_h,1,MI,M,PG,0));STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,0));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
	RE();STEP(get_dirty(mk_h,0,MI,M,PG,BMRO_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));RE();STEP(get_dirty(mk_h,0,MI,M,PG,HOLE_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));RE();STEP(get_dirty(mk_h,0,MI,M,PG,NONE_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));RE();STEP(get_dirty(mk_h,0,MI,M,PG,0x800000000000ULL));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
	note("bitmap crosses into a hole: 32 bytes needed, 8 present");RE();STEP(get_dirty(mk_h,0,MI,M,PG,BMEND_BASE+4096-8));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
	note("unaligned bitmap pointer");RE();STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE+8));STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE+1));STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE+4095));STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE+4));
	note("sub-range starting off a 64-page boundary: bit 0 = iova");STEP(get_dirty(mk_h,1,MI+8*K,M-8*K,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+4*K,16*K,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+1020*K,4*K,PG,BM_BASE));FILL(0xff);STEP(get_dirty(mk_h,1,MI+4*K,16*K,PG,BM_BASE));}
D(mock_dirty_lifecycle){u32 h2=0;
	mock_dirty_up(M);STEP(ioas_map(mk_a,FX|RW,A_BASE+M,64*K,MI+2*M,0));
	STEP(mock_dirty(mk_h,MI,M,2048,2,4,100));STEP(mock_dirty(mk_h,MI+2*M,64*K,2048,1,0));
	STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
	STEP(get_dirty(mk_h,1,MI+2*M,64*K,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+2*M,64*K,PG,BM_BASE));
	note("unmap a dirty area, remap: clean");STEP(ioas_unmap(mk_a,MI+2*M,64*K));STEP(get_dirty(mk_h,0,MI+2*M,64*K,PG,BM_BASE));STEP(ioas_map(mk_a,FX|RW,A_BASE+M,64*K,MI+2*M,0));STEP(get_dirty(mk_h,0,MI+2*M,64*K,PG,BM_BASE));
	note("area mapped while tracking is on, read-only area");STEP(ioas_map(mk_a,FX|RD,A_BASE+2*M,64*K,MI+4*M,0));STEP(mock_dirty(mk_h,MI+4*M,64*K,2048,1,2));STEP(get_dirty(mk_h,0,MI+4*M,64*K,PG,BM_BASE));
	note("a second HWPT on the same IOAS has its own state");STEP(hwpt_alloc(m_dev,mk_a,2,&h2));STEP(mock_dirty(h2,MI,M,2048,1,1));STEP(get_dirty(h2,0,MI,M,PG,BM_BASE));STEP(set_dirty(h2,1));STEP(mock_dirty(h2,MI,M,2048,1,1));STEP(mock_dirty(mk_h,MI,M,2048,1,7));STEP(get_dirty(h2,0,MI,M,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));
	note("destroy a tracking HWPT");STEP(destroy(h2));STEP(get_dirty(h2,0,MI,M,PG,BM_BASE));
	note("replace away, tracking stays on the HWPT");STEP(mock_dirty(mk_h,MI,M,2048,1,9));STEP(mock_replace(m_st,mk_a));STEP(get_dirty(mk_h,0,MI,M,PG,BM_BASE));STEP(set_dirty(mk_h,0));STEP(destroy(mk_h));
	}
D(mock_big){
	note("bitmap longer than one pinned window is not reachable in the 2G aperture; 8M area, pgsz 2K");
	mock_up(0);STEP(hwpt_alloc(m_dev,mk_a,2,&mk_h));STEP(mock_replace(m_st,mk_h));STEP(ioas_map(mk_a,FX|RW,A_BASE,8*M,MI,0));STEP(set_dirty(mk_h,1));
	STEP(mock_dirty(mk_h,MI,8*M,2048,5,0,1,63,64,4095));STEP(get_dirty(mk_h,1,MI,8*M,2048,BM_BASE));STEP(get_dirty(mk_h,1,MI,8*M,2048,BM_BASE+4096-256));STEP(get_dirty(mk_h,1,MI,8*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI,8*M,64*K,BM_BASE));STEP(get_dirty(mk_h,0,MI,8*M,8*M,BM_BASE));STEP(get_dirty(mk_h,0,MI,8*M,PG,BM_BASE));
	}
D(mock_huge_dirty){
	note("huge-page mock device (granule 1M), hugetlb memory");
	if(mmap((void*)0x100090000000ULL,4*M,3,MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|MAP_FIXED_NOREPLACE|MAP_POPULATE,-1,0)==MAP_FAILED){note("skipped: no hugetlb pages");return;}
	mock_up(2);STEP(hwpt_alloc(m_dev,mk_a,2,&mk_h));STEP(mock_replace(m_st,mk_h));STEP(ioas_map(mk_a,FX|RW,0x100090000000ULL,4*M,MI,0));STEP(set_dirty(mk_h,1));
	STEP(mock_dirty(mk_h,MI,4*M,2048,1,600));STEP(get_dirty(mk_h,1,MI,4*M,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+M,PG,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI+M+8*K,64*K,PG,BM_BASE));STEP(get_dirty(mk_h,1,MI,M,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI+M,PG,PG,BM_BASE));STEP(get_dirty(mk_h,0,MI,4*M,PG,BM_BASE));
	note("small pages of the same device (HUGE_PAGES off)");STEP(ioas_unmap(mk_a,0,U64MAX));STEP(option(1,0,mk_a,0));STEP(ioas_map(mk_a,FX|RW,0x100090000000ULL,4*M,MI,0));STEP(mock_dirty(mk_h,MI,4*M,2048,1,600));STEP(get_dirty(mk_h,0,MI,4*M,PG,BM_BASE));}
D(mock_munmap){void*q;u32 h=0;
	mock_up(0);STEP((call("mmap(A2,1M)"),mmap((void*)0x1000a0000000ULL,M,3,MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE|MAP_POPULATE,-1,0)==MAP_FAILED?-1:0));
	STEP(ioas_map(mk_a,FX|RW,0x1000a0000000ULL,M,MI,0));STEP((call("munmap(A2,1M)"),munmap((void*)0x1000a0000000ULL,M)));
	note("pinned pages survive the VMA");STEP(hwpt_alloc(m_dev,mk_a,0,&h));STEP(ioas_copy(mk_a,mk_a,FX|RW,64*K,MI+2*M,MI));STEP(ioas_unmap(mk_a,MI,M));STEP(ioas_copy(mk_a,mk_a,FX|RW,64*K,MI,MI+2*M));
	note("last domain gone: pins are dropped, no new domain can be filled");STEP(destroy(h));STEP(destroy(m_st));STEP(mock_domain(mk_a,0));STEP(ioas_unmap(mk_a,0,U64MAX));STEP(mock_domain(mk_a,0));(void)q;}
D(mock_rlimit){
	mock_up(0);drop();STEP(ioas_map(mk_a,FX|RW,A_BASE,M,MI,0));STEP(ioas_map(mk_a,FX|RW,A_BASE,64*K,MI,0));STEP(ioas_map(mk_a,FX|RW,A_BASE+M,PG,MI+M,0));note("the same memory again is charged again");STEP(ioas_map(mk_a,FX|RW,A_BASE,PG,MI+M,0));note("IOAS_COPY of it is not");STEP(ioas_copy(mk_a,mk_a,FX|RW,64*K,MI+2*M,MI));STEP(ioas_unmap(mk_a,MI,64*K));STEP(ioas_map(mk_a,FX|RW,A_BASE+M,PG,MI+M,0));STEP(ioas_unmap(mk_a,MI+2*M,64*K));STEP(ioas_map(mk_a,FX|RW,A_BASE+M,PG,MI+M,0));
	STEP(option(0,0,0,1));STEP(option(0,1,0,0));}
#endif

/* VFIO container ioctls directly on /dev/iommu (core: vfio_compat.c) */
D(compat_bare){u32 a=0;
	open_iommu();cfd=ifd;STEP(api(cfd,"IOMMU"));for(int i=0;i<12;i++)STEP(ext(cfd,i));STEP(set_iommu(cfd,3));STEP(set_iommu(cfd,1));STEP(set_iommu(cfd,8));STEP(set_iommu(cfd,99));STEP(t_info(cfd,4096));STEP(t_map(3,A_BASE,PG,M));STEP(t_unmap(0,M,PG));STEP(t_dirty(1));
	STEP(ioas_alloc(0,&a));STEP(vfio_ioas(1,a));STEP(set_iommu(cfd,1));STEP(set_iommu(cfd,3));STEP(set_iommu(cfd,99));for(int i=0;i<12;i++)STEP(ext(cfd,i));STEP(t_info(cfd,4096));STEP(t_info(cfd,16));STEP(t_info(cfd,15));
	STEP(t_map(3,A_BASE,64*K,M));STEP(t_map(3,A_BASE,64*K,M));STEP(t_map(0,A_BASE,PG,2*M));STEP(t_map(1,A_BASE,PG,2*M));STEP(t_map(2,A_BASE,PG,3*M));STEP(t_map(4,A_BASE,PG,2*M));STEP(t_map(3,A_BASE,0,4*M));STEP(t_map(3,A_BASE,100,4*M));STEP(t_map(3,A_BASE,PG,U64MAX-PG+1));STEP(t_map(3,A_BASE,2*PG,U64MAX-PG+1));
	STEP(t_unmap(0,M,PG));STEP(t_unmap(0,M-PG,PG));STEP(t_unmap(0,M,64*K));STEP(t_unmap(0,M,64*K));STEP(t_unmap(0,M,0));STEP(t_unmap(2,0,0));STEP(t_unmap(2,0,0));STEP(t_unmap(2,M,0));STEP(t_unmap(1,M,PG));STEP(t_unmap(4,M,PG));STEP(t_unmap(0,0,U64MAX));STEP(t_unmap(0,M,U64MAX));STEP(t_unmap(0,U64MAX-PG+1,2*PG));STEP(t_dirty(1));SIZE(-8);STEP(t_map(3,A_BASE,PG,M));SIZE(-8);STEP(t_unmap(0,M,PG));
	note("v1 on /dev/iommu cuts areas");STEP(ioas_map(a,FX|RW,A_BASE,64*K,M,0));STEP(set_iommu(cfd,3));STEP(t_unmap(0,M,32*K));STEP(set_iommu(cfd,1));STEP(t_unmap(0,M,32*K));STEP(t_unmap(0,M+48*K,16*K));STEP(ioas_unmap(a,M+32*K,16*K));}

/* ================================================================== 3. cdev + iommufd, real vIOMMU */
#define CI (16*M)
D(cdev_bind){u32 a=0;int f2=-1,n=open("/dev/null",O_RDWR);struct vd d2=dA;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(cdev_open(&dA));
	note("before BIND");STEP(devinfo(&dA));STEP(attach(&dA,a,0));STEP(detach(&dA,0));{char b[4];STEP((call("pread(A,4)"),pread(dA.fd,b,4,0)));STEP((call("mmap(A)"),mmap(0,4096,1,MAP_SHARED,dA.fd,0)==MAP_FAILED?-1:0));}
	STEP(bind_(&dA,-1,"-1",0));STEP(bind_(&dA,9999,"9999",0));STEP(bind_(&dA,n,"/dev/null",0));STEP(bind_(&dA,dA.fd,"CDEV_A",0));STEP(bind_(&dA,ifd,"IOMMU",1));SIZE(-4);STEP(bind_(&dA,ifd,"IOMMU",0));ARGNULL();STEP(bind_(&dA,ifd,"IOMMU",0));
	note("read-only page: rolled back");ARGRO();STEP(bind_(&dA,ifd,"IOMMU",0));
	SIZET(8);STEP(bind_(&dA,ifd,"IOMMU",0));
	STEP(bind_(&dA,ifd,"IOMMU",0));STEP(o_open(env("O_IOMMU","/dev/iommu"),"IOMMU2",&f2));STEP(bind_(&dA,f2,"IOMMU2",0));
	note("second open of the same cdev");STEP(cdev_open(&d2));STEP(bind_(&d2,ifd,"IOMMU",0));STEP(bind_(&d2,f2,"IOMMU2",0));STEP(devinfo(&d2));STEP(cdev_close(&d2));
	note("group file is blocked while the cdev is bound");STEP(g_open(&dA));
	STEP(devinfo(&dA));STEP(destroy(dA.id));STEP(ioas_map(dA.id,FX|RW,A_BASE,PG,CI,0));
	STEP(cdev_close(&dA));STEP(destroy(dA.id));STEP(g_open(&dA));
	note("group open blocks cdev bind");STEP(cdev_open(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));STEP(g_close(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));STEP(cdev_close(&dA));
	note("iommufd closed first");STEP(cdev_open(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));STEP(attach(&dA,a,0));STEP(o_close(&ifd,"IOMMU"));STEP(devinfo(&dA));STEP(detach(&dA,0));STEP(attach(&dA,a,0));STEP(cdev_close(&dA));
	STEP(cdev_open(&dA));STEP(bind_(&dA,f2,"IOMMU2",0));STEP(cdev_close(&dA));}
D(cdev_attach){u32 a=0,b=0,h=0,h2=0;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(ioas_alloc(0,&b));STEP(cdev_open(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));
	STEP(iova_ranges(a,16,BM_BASE));
	STEP(detach(&dA,0));STEP(detach(&dA,0));STEP(attach(&dA,0,0));STEP(attach(&dA,9999,0));STEP(attach(&dA,dA.id,0));STEP(attach(&dA,a,1));SIZE(-4);STEP(attach(&dA,a,0));ARGNULL();STEP(attach(&dA,a,0));
	STEP(attach(&dA,a,0));STEP(iova_ranges(a,16,BM_BASE));STEP(iova_ranges(a,1,BM_BASE));STEP(iova_ranges(b,16,BM_BASE));
	note("attached: destroy");STEP(destroy(a));STEP(destroy(dA.id+1));STEP(destroy(dA.id));
	note("attach again (same / other = replace)");STEP(attach(&dA,a,0));STEP(attach(&dA,b,0));STEP(iova_ranges(a,16,BM_BASE));STEP(destroy(a));STEP(ioas_alloc(0,&a));STEP(attach(&dA,9999,0));STEP(devinfo(&dA));
	STEP(detach(&dA,1));SIZE(-4);STEP(detach(&dA,0));STEP(detach(&dA,0));STEP(detach(&dA,0));STEP(iova_ranges(b,16,BM_BASE));
	note("HWPT");
	STEP(hwpt_alloc(dA.id,a,0,&h));STEP(iova_ranges(a,16,BM_BASE));STEP(attach(&dA,h,0));STEP(destroy(h));STEP(destroy(a));STEP(attach(&dA,h,0));STEP(attach(&dA,a,0));STEP(destroy(h));STEP(hwpt_alloc(dA.id,b,0,&h));STEP(attach(&dA,h,0));STEP(hwpt_alloc(dA.id,b,0,&h2));STEP(attach(&dA,h2,0));STEP(destroy(h));STEP(detach(&dA,0));STEP(destroy(h2));
	STEP(hwpt_alloc(dA.id,a,1,&h));STEP(hwpt_alloc(dA.id,a,2,&h2));STEP(hwpt_alloc(dA.id,a,3,&h2));STEP(hwpt_alloc(dA.id,a,4,&h2));STEP(hwpt_alloc(dA.id,a,8,&h2));STEP(hw_info(dA.id,0,0,0));
	note("read-only page: ATTACH is undone");ARGRO();STEP(attach(&dA,a,0));STEP(destroy(a));STEP(ioas_alloc(0,&a));
	STEP(cdev_close(&dA));STEP(destroy(b));}
D(cdev_two){u32 a=0,b=0,h=0;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(ioas_alloc(0,&b));STEP(cdev_open(&dA));STEP(cdev_open(&dB));STEP(bind_(&dA,ifd,"IOMMU",0));STEP(bind_(&dB,ifd,"IOMMU",0));
	STEP(ioas_map(a,FX|RW,A_BASE,M,CI,0));
	note("two devices on one IOAS share the automatic HWPT");STEP(attach(&dA,a,0));STEP(attach(&dB,a,0));STEP(detach(&dA,0));STEP(attach(&dA,a,0));STEP(detach(&dA,0));STEP(detach(&dB,0));STEP(attach(&dB,a,0));STEP(attach(&dA,b,0));STEP(attach(&dB,b,0));
	STEP(hwpt_alloc(dA.id,a,0,&h));STEP(attach(&dB,h,0));STEP(attach(&dA,h,0));STEP(detach(&dA,0));STEP(destroy(h));STEP(detach(&dB,0));STEP(destroy(h));
	note("manual HWPT is not chosen by ATTACH to the IOAS");STEP(hwpt_alloc(dA.id,a,0,&h));STEP(attach(&dA,a,0));STEP(destroy(h));STEP(cdev_close(&dA));STEP(cdev_close(&dB));STEP(ioas_unmap(a,CI,M));}
D(cdev_map){u32 a=0,b=0;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(ioas_alloc(0,&b));STEP(cdev_open(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));
	note("mapped before attach: unaligned / in a reserved range / bad memory / beyond the aperture");
	STEP(ioas_map(a,FX|RW,A_BASE,100,CI,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,CI,100));
	STEP(ioas_map(a,FX|RW,A_BASE,PG,CI+512,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,CI+512,PG));
	STEP(ioas_map(a,FX|RW,A_BASE+512,PG,CI+512,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,CI+512,PG));
	STEP(ioas_map(a,FX|RW,A_BASE,PG,0xfee00000,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,0xfee00000,PG));
	STEP(ioas_map(a,FX|RW,A_BASE,PG,1ULL<<56,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,1ULL<<56,PG));
	STEP(ioas_map(a,FX|RW,HOLE_BASE,PG,CI,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,CI,PG));
	STEP(ioas_map(a,FX|RW,RO_BASE,PG,CI,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,CI,PG));
	static const u64 r[]={0,64*M-1},r2[]={0xfe000000,0xfeffffff};STEP(allow_iovas(a,1,r2,BM_BASE));STEP(attach(&dA,a,0));STEP(allow_iovas(a,1,r,BM_BASE));
	STEP(ioas_map(a,FX|RW,A_BASE,M,CI,0));STEP(attach(&dA,a,0));
	note("attached");
	STEP(allow_iovas(a,1,r2,BM_BASE));STEP(ioas_map(a,FX|RW,A_BASE,PG,0xfee00000,0));STEP(ioas_map(a,FX|RW,A_BASE,2*PG,0xfee00000-PG,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,0xfee00000-PG,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,0xfef00000,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,1ULL<<56,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,U64MAX-PG+1,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,0,0));
	STEP(ioas_map(a,FX|RW,A_BASE,100,2*CI,0));STEP(ioas_map(a,FX|RW,A_BASE+512,PG,2*CI,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,2*CI+512,0));STEP(ioas_map(a,FX|RW,RO_BASE,PG,2*CI,0));STEP(ioas_map(a,FX|RD,RO_BASE,PG,2*CI,0));STEP(ioas_map(a,FX|RW,HOLE_BASE,PG,3*CI,0));STEP(ioas_map(a,FX|RW,A_BASE+A_LEN-PG,2*PG,3*CI,0));STEP(ioas_map(a,FX|RW,NONE_BASE,PG,3*CI,0));STEP(ioas_map(a,FX|W,A_BASE,PG,3*CI,0));STEP(ioas_map(a,FX|RW,SH_BASE,PG,4*CI,0));STEP(ioas_map(a,FX|RW,ROSH_BASE,PG,5*CI,0));STEP(ioas_map(a,FX|RD,ROSH_BASE,PG,5*CI,0));
	STEP(ioas_map(a,RW,A_BASE,PG,0,0));STEP(ioas_map(a,RW,A_BASE+512,PG,0,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,CI,0));
	STEP(ioas_unmap(a,CI,PG));STEP(ioas_unmap(a,CI,M));STEP(ioas_unmap(a,0,U64MAX));STEP(ioas_unmap(a,0,U64MAX));
	note("option / copy while attached");STEP(option(1,0,a,0));STEP(ioas_map(b,FX|RW,A_BASE,M,M,0));STEP(ioas_copy(a,b,FX|RW,64*K,CI,M));STEP(ioas_copy(a,b,FX|RW,64*K,0xfee00000,M));STEP(ioas_copy(a,b,FX|RW,100,CI+M,M));
	STEP(option(1,0,a,0));STEP(ioas_unmap(a,0,U64MAX));STEP(option(1,0,a,0));STEP(option(1,1,a,0));
	note("detach leaves mappings and lifts the limits");STEP(ioas_map(a,FX|RW,A_BASE,M,CI,0));STEP(detach(&dA,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,0xfee00000,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,0xfee00000,PG));STEP(attach(&dA,a,0));STEP(cdev_close(&dA));STEP(ioas_unmap(a,CI,M));}
D(cdev_dirty_unsupported){u32 a=0,h=0;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(cdev_open(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));STEP(hwpt_alloc(dA.id,a,2,0));STEP(hwpt_alloc(dA.id,a,0,&h));STEP(attach(&dA,h,0));STEP(ioas_map(a,FX|RW,A_BASE,M,CI,0));STEP(set_dirty(h,1));STEP(set_dirty(h,0));STEP(get_dirty(h,0,CI,M,PG,BM_BASE));STEP(get_dirty(h,0,CI,0,PG,BM_BASE));STEP(get_dirty(h,0,CI,M,0,BM_BASE));STEP(get_dirty(h,0,U64MAX,M,PG,BM_BASE));}

D(cdev_rlimit){u32 a=0;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(cdev_open(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));drop();note("no domain: no charge");STEP(ioas_map(a,FX|RW,A_BASE,M,CI,0));STEP(attach(&dA,a,0));STEP(ioas_unmap(a,CI,M));STEP(attach(&dA,a,0));STEP(ioas_map(a,FX|RW,A_BASE,M,CI,0));STEP(ioas_map(a,FX|RW,A_BASE,64*K,CI,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,CI+M,0));STEP(ioas_unmap(a,0,U64MAX));STEP(ioas_map(a,FX|RW,A_BASE,PG,CI+M,0));}

/* ================================================================== 3b. emulated device (mtty) through cdev */
D(cdevm_attach){u32 a=0,b=0,h=0;
	open_iommu();STEP(ioas_alloc(0,&a));STEP(ioas_alloc(0,&b));STEP(cdev_open(&dM));STEP(attach(&dM,a,0));STEP(bind_(&dM,ifd,"IOMMU",0));STEP(devinfo(&dM));STEP(hw_info(dM.id,0,0,0));STEP(hwpt_alloc(dM.id,a,0,&h));
	STEP(ioas_map(a,FX|RW,A_BASE,100,M,0));STEP(attach(&dM,a,0));STEP(ioas_unmap(a,0,U64MAX));STEP(attach(&dM,dM.id,0));STEP(attach(&dM,9999,0));STEP(attach(&dM,0,0));
	STEP(attach(&dM,a,0));STEP(iova_ranges(a,4,BM_BASE));STEP(ioas_map(a,FX|RW,HOLE_BASE,PG,M,0));STEP(ioas_map(a,FX|RW,A_BASE,PG,U64MAX-2*PG+1,0));STEP(ioas_map(a,FX|RW,A_BASE,100,2*M,0));STEP(destroy(a));STEP(attach(&dM,b,0));STEP(destroy(a));STEP(destroy(b));STEP(detach(&dM,0));STEP(detach(&dM,0));STEP(destroy(b));
	note("mtty and edu on one IOAS");STEP(ioas_alloc(0,&a));STEP(cdev_open(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));STEP(attach(&dM,a,0));STEP(attach(&dA,a,0));STEP(attach(&dM,a+1,0));STEP(detach(&dA,0));STEP(cdev_close(&dM));STEP(cdev_close(&dA));STEP(destroy(a));}

/* ================================================================== 4. type1 group + container */
#define TI (1*M)
/* open container+group and set type1v2; sets cfd */
static void t1_up(struct vd*d,int type){STEP(c_open(&cfd,"CONT"));STEP(g_open(d));STEP(g_set(d,cfd,"CONT"));STEP(set_iommu(cfd,type));}
D(t1_container_fresh){
	STEP(c_open(&cfd,"CONT"));STEP(api(cfd,"CONT"));for(int i=0;i<16;i++)STEP(ext(cfd,i));STEP(ext(cfd,0x7fffffff));STEP(ext(cfd,-1UL));
	note("no group: everything else");
	for(int i=0;i<9;i++)STEP(set_iommu(cfd,i));
	STEP(t_info(cfd,64));STEP(t_map(3,A_BASE,PG,TI));STEP(t_unmap(0,TI,PG));STEP(t_dirty(1));STEP((call("ioctl(CONT,nr 0)"),ioctl(cfd,_IO(';',0),0)));STEP((call("ioctl(CONT,TCGETS)"),ioctl(cfd,0x5401,iob)));STEP((call("read(CONT)"),read(cfd,iob,1)));STEP((call("mmap(CONT)"),mmap(0,4096,1,MAP_SHARED,cfd,0)==MAP_FAILED?-1:0));STEP(o_close(&cfd,"CONT"));}
D(t1_group_orders){int n=open("/dev/null",O_RDWR),x=-1,c2=-1;struct vd d2=dA;
	STEP(g_open(&dA));STEP(g_open(&d2));STEP(g_status(&dA));SIZE(-4);STEP(g_status(&dA));SIZET(8);STEP(g_status(&dA));ARGNULL();STEP(g_status(&dA));
	note("no container yet");STEP(g_unset(&dA));STEP(g_devfd(&dA,dA.name,"A",&x));STEP(g_devfd(&dA,"","\"\"",&x));STEP(g_devfd(&dA,dB.name,"B",&x));STEP((call("GROUP_GET_DEVICE_FD(A,NULL)"),ioctl(dA.gfd,VFIO_GROUP_GET_DEVICE_FD,0)));STEP((call("ioctl(GROUP_A,SET_IOMMU)"),ioctl(dA.gfd,VFIO_SET_IOMMU,3)));STEP((call("ioctl(GROUP_A,GET_API_VERSION)"),ioctl(dA.gfd,VFIO_GET_API_VERSION)));STEP((call("read(GROUP_A)"),read(dA.gfd,iob,1)));
	STEP(g_set(&dA,-1,"-1"));STEP(g_set(&dA,9999,"9999"));STEP(g_set(&dA,n,"/dev/null"));STEP(g_set(&dA,dA.gfd,"GROUP_A"));ARGNULL();STEP(g_set(&dA,-1,"ptr"));
	STEP(c_open(&cfd,"CONT"));STEP(g_set(&dA,cfd,"CONT"));STEP(g_set(&dA,cfd,"CONT"));STEP(g_status(&dA));
	note("container set, no IOMMU type yet");STEP(g_devfd(&dA,dA.name,"A",&x));STEP(t_info(cfd,64));STEP(t_map(3,A_BASE,PG,TI));for(int i=0;i<12;i++)STEP(ext(cfd,i));
	STEP(set_iommu(cfd,0));STEP(set_iommu(cfd,2));STEP(set_iommu(cfd,4));STEP(set_iommu(cfd,8));STEP(set_iommu(cfd,9));STEP(set_iommu(cfd,10));STEP(set_iommu(cfd,99));STEP(set_iommu(cfd,3));STEP(set_iommu(cfd,3));STEP(set_iommu(cfd,1));
	note("type set");for(int i=0;i<12;i++)STEP(ext(cfd,i));STEP((call("ioctl(CONT,nr 31)"),ioctl(cfd,_IO(';',131),iob)));
	STEP(g_devfd(&dA,"0000:ff:1f.7","other",&x));STEP(g_devfd(&dA,dB.name,"B",&x));STEP(g_devfd(&dA,dA.name,"A",&x));
	char t[128];snprintf(t,sizeof t,"%s ",dA.name);STEP(g_devfd(&dA,t,"A+space",&c2));STEP(o_close(&c2,"DEVFD"));snprintf(t,sizeof t,"%s foo=1",dA.name);STEP(g_devfd(&dA,t,"A+\" foo=1\"",&c2));
	int x2=-1;note("second device fd");STEP(g_devfd(&dA,dA.name,"A",&x2));STEP(o_close(&x2,"DEVFD2"));
	note("busy");STEP(g_unset(&dA));STEP(g_status(&dA));STEP(o_close(&x,"DEVFD"));STEP(g_unset(&dA));STEP(g_unset(&dA));STEP(g_status(&dA));
	note("last group gone: the container is untyped again");STEP(t_info(cfd,64));STEP(set_iommu(cfd,3));STEP(ext(cfd,4));STEP(g_set(&dA,cfd,"CONT"));STEP(set_iommu(cfd,1));STEP(g_unset(&dA));STEP(g_close(&dA));STEP(o_close(&cfd,"CONT"));}
D(t1_close_orders){int x=-1;
	t1_up(&dA,3);STEP(t_map(3,A_BASE,PG,TI));STEP(g_devfd(&dA,dA.name,"A",&x));
	note("container closed first; device and group live on");int keep=dup(cfd);STEP(o_close(&cfd,"CONT"));struct vd d=dA;d.fd=x;STEP(devinfo(&d));STEP(g_status(&dA));cfd=keep;STEP(t_map(3,A_BASE,PG,2*TI));STEP(o_close(&cfd,"CONT (last fd)"));STEP(devinfo(&d));STEP(g_status(&dA));STEP(g_unset(&dA));
	note("group closed while the device fd is open: group stays busy");STEP(g_close(&dA));STEP(g_open(&dA));STEP(devinfo(&d));STEP(o_close(&x,"DEVFD"));STEP(g_open(&dA));STEP(g_status(&dA));STEP(g_close(&dA));
	note("group closed without device: container loses its group");t1_up(&dA,3);STEP(t_map(3,A_BASE,PG,TI));STEP(g_close(&dA));STEP(t_map(3,A_BASE,PG,2*TI));STEP(t_info(cfd,64));STEP(g_open(&dA));STEP(g_set(&dA,cfd,"CONT"));STEP(t_info(cfd,64));STEP(set_iommu(cfd,3));note("old mappings are gone");STEP(t_unmap(0,TI,PG));STEP(t_map(3,A_BASE,PG,TI));
	note("container closed with no device fd: group keeps it alive");STEP(o_close(&cfd,"CONT"));STEP(g_status(&dA));STEP(g_devfd(&dA,dA.name,"A",&x));STEP(o_close(&x,"DEVFD"));STEP(g_unset(&dA));STEP(g_status(&dA));STEP(g_close(&dA));
	note("cdev bind against the group");STEP(cdev_open(&dA));STEP(g_open(&dA));open_iommu();STEP(bind_(&dA,ifd,"IOMMU",0));STEP(g_close(&dA));STEP(bind_(&dA,ifd,"IOMMU",0));STEP(g_open(&dA));STEP(cdev_close(&dA));STEP(g_open(&dA));}
D(t1_two_groups){int c2=-1;
	t1_up(&dA,3);STEP(t_map(3,A_BASE,M,TI));STEP(g_open(&dB));STEP(g_set(&dB,cfd,"CONT"));STEP(g_status(&dB));STEP(set_iommu(cfd,3));STEP(t_info(cfd,4096));
	STEP(c_open(&c2,"CONT2"));STEP(g_set(&dB,c2,"CONT2"));STEP(g_unset(&dA));STEP(t_unmap(0,TI,M));STEP(g_set(&dA,c2,"CONT2"));STEP(set_iommu(c2,3));STEP(g_unset(&dB));STEP(t_unmap(0,TI,M));STEP(g_set(&dB,c2,"CONT2"));int c1=cfd;cfd=c2;STEP(t_unmap(2,0,0));STEP(t_info(c1,64));}
D(t1_info){
	t1_up(&dA,3);static const u32 sz[]={0,4,8,15,16,17,20,24,25,63,64,100,111,112,113,120,127,128,136,144,152,160,168,176,184,200,4096};
	for(unsigned i=0;i<sizeof sz/sizeof*sz;i++)STEP(t_info(cfd,sz[i]));ARGNULL();STEP(t_info(cfd,64));ARGBAD();STEP(t_info(cfd,64));
	STEP(t_map(3,A_BASE,M,TI));note("DMA_AVAIL counts mappings");STEP(t_info(cfd,4096));STEP(t_unmap(0,TI,M));STEP(t_info(cfd,4096));}
D(t1_map){
	t1_up(&dA,3);
	STEP(t_map(3,A_BASE,64*K,TI));STEP(t_map(3,A_BASE,64*K,TI));STEP(t_map(3,A_BASE,PG,TI));STEP(t_map(3,A_BASE,PG,TI+60*K));STEP(t_map(3,A_BASE,M,TI-512*K));STEP(t_map(3,A_BASE,8*K,TI-4*K));STEP(t_map(3,A_BASE,PG,TI-4*K));STEP(t_map(3,A_BASE,PG,TI+64*K));
	note("flags");STEP(t_map(0,A_BASE,PG,2*TI));STEP(t_map(1,A_BASE,PG,2*TI));STEP(t_map(2,A_BASE,PG,3*TI));STEP(t_map(8,A_BASE,PG,4*TI));STEP(t_map(11,A_BASE,PG,4*TI));STEP(t_map(7,A_BASE,PG,4*TI));STEP(t_map(4,A_BASE,PG,4*TI));STEP(t_map(4,A_BASE,PG,TI));STEP(t_map(4,A_BASE,64*K,TI));STEP(t_map(0x80000003u,A_BASE,PG,4*TI));
	note("alignment, zero, wrap");STEP(t_map(3,A_BASE,0,4*TI));STEP(t_map(3,A_BASE,100,4*TI));STEP(t_map(3,A_BASE,PG+1,4*TI));STEP(t_map(3,A_BASE+1,PG,4*TI));STEP(t_map(3,A_BASE,PG,4*TI+1));STEP(t_map(3,A_BASE,PG,4*TI+2048));STEP(t_map(3,A_BASE,2*PG,U64MAX-PG+1));STEP(t_map(3,A_BASE,PG,U64MAX-PG+1));STEP(t_map(3,U64MAX-PG+1,2*PG,4*TI));STEP(t_map(3,A_BASE,U64MAX-PG+1,4*TI));STEP(t_map(3,0,U64MAX-PG+1,0));
	note("overlap is tested before the aperture");STEP(t_map(3,0,1ULL<<50,TI));STEP(t_map(3,0,1ULL<<50,1ULL<<50));
	note("reserved MSI window / aperture");STEP(t_map(3,A_BASE,PG,0xfee00000));STEP(t_map(3,A_BASE,PG,0xfeeff000));STEP(t_map(3,A_BASE,PG,0xfedff000));STEP(t_map(3,A_BASE,2*PG,0xfedff000+PG-PG));STEP(t_map(3,A_BASE,2*PG,0xfedfe000+PG));STEP(t_map(3,A_BASE,PG,0xfef00000));STEP(t_map(3,A_BASE,PG,1ULL<<39));STEP(t_map(3,A_BASE,PG,(1ULL<<39)-PG));STEP(t_map(3,A_BASE,PG,1ULL<<48));STEP(t_map(3,A_BASE,PG,1ULL<<57));STEP(t_map(3,A_BASE,PG,0));
	note("user memory");STEP(t_map(3,RO_BASE,PG,8*TI));STEP(t_map(2,RO_BASE,PG,8*TI));STEP(t_map(1,RO_BASE,PG,8*TI));STEP(t_map(3,HOLE_BASE,PG,9*TI));STEP(t_map(1,HOLE_BASE,PG,9*TI));STEP(t_map(3,NONE_BASE,PG,9*TI));STEP(t_map(3,A_BASE+A_LEN-PG,2*PG,9*TI));STEP(t_map(3,0,PG,9*TI));STEP(t_map(3,0x800000000000ULL,PG,9*TI));STEP(t_map(3,ROSH_BASE,PG,9*TI));STEP(t_map(1,ROSH_BASE,PG,9*TI));STEP(t_map(3,SH_BASE,PG,10*TI));
	note("after a failure the range is free and the budget restored");STEP(t_map(3,A_BASE+A_LEN-PG,PG,11*TI));STEP(t_info(cfd,4096));
	SIZE(-8);STEP(t_map(3,A_BASE,PG,12*TI));SIZE(8);STEP(t_map(3,A_BASE,PG,12*TI));SIZET(8);STEP(t_map(3,A_BASE,PG,13*TI));SIZE(-32);STEP(t_map(3,A_BASE,PG,14*TI));ARGNULL();STEP(t_map(3,A_BASE,PG,14*TI));ARGBAD();STEP(t_map(3,A_BASE,PG,14*TI));ARGRO();STEP(t_map(3,A_BASE,PG,14*TI));
	STEP(t_unmap(2,0,0));STEP(t_unmap(2,0,0));}
D(t1_unmap){
	t1_up(&dA,3);STEP(t_unmap(0,TI,PG));STEP(t_unmap(2,0,0));
	for(int i=0;i<4;i++)STEP(t_map(3,A_BASE+i*64*K,64*K,TI+i*64*K));
	note("cut");STEP(t_unmap(0,TI,PG));STEP(t_unmap(0,TI+60*K,PG));STEP(t_unmap(0,TI+4*K,8*K));STEP(t_unmap(0,TI-4*K,8*K));STEP(t_unmap(0,TI-4*K,4*K));STEP(t_unmap(0,TI,96*K));note("nothing was removed");STEP(t_unmap(0,TI,64*K));STEP(t_unmap(0,TI,64*K));
	note("several, holes");STEP(t_map(3,A_BASE,64*K,2*TI));STEP(t_unmap(0,TI,M+64*K));STEP(t_unmap(0,TI,M+64*K));
	STEP(t_map(3,A_BASE,64*K,TI));STEP(t_unmap(0,TI-PG,64*K+2*PG));
	note("arguments");STEP(t_map(3,A_BASE,64*K,TI));STEP(t_unmap(0,TI,0));STEP(t_unmap(0,0,0));STEP(t_unmap(0,TI+1,PG));STEP(t_unmap(0,TI,PG+1));STEP(t_unmap(0,U64MAX-PG+1,2*PG));STEP(t_unmap(0,U64MAX-PG+1,PG));STEP(t_unmap(0,0,U64MAX));STEP(t_unmap(0,0,U64MAX-PG+1));STEP(t_unmap(0,0,1ULL<<63));STEP(t_map(3,A_BASE,64*K,TI));STEP(t_unmap(8,TI,64*K));STEP(t_unmap(0x10,TI,64*K));STEP(t_unmap(2,TI,64*K));STEP(t_unmap(2,0,64*K));STEP(t_unmap(2,TI,0));STEP(t_unmap(3,0,0));STEP(t_unmap(5,TI,64*K));
	SIZE(-8);STEP(t_unmap(0,TI,64*K));SIZET(8);STEP(t_unmap(0,TI,64*K));STEP(t_map(3,A_BASE,64*K,TI));note("read-only argument: unmapped, then EFAULT");ARGRO();STEP(t_unmap(0,TI,64*K));STEP(t_unmap(0,TI,64*K));ARGNULL();STEP(t_unmap(0,TI,64*K));
	note("VADDR");STEP(t_map(3,A_BASE,64*K,TI));STEP(t_map(3,A_BASE,64*K,2*TI));STEP(t_unmap(4,TI,64*K));STEP(t_unmap(4,TI,64*K));STEP(t_map(4,A_BASE+M,64*K,TI));STEP(t_map(4,A_BASE+M,64*K,TI));STEP(t_unmap(6,0,0));STEP(t_map(4,A_BASE,4*K,TI));STEP(t_map(4,A_BASE,64*K,TI));STEP(t_unmap(4,3*TI,64*K));STEP(t_unmap(0,TI,64*K));STEP(t_unmap(2,0,0));STEP(t_info(cfd,4096));}
D(t1_v1_unmap){
	note("TYPE1 (v1): unmap semantics");t1_up(&dA,1);STEP(t_map(3,A_BASE,64*K,TI));STEP(t_unmap(0,TI+4*K,4*K));STEP(t_unmap(0,TI,4*K));STEP(t_unmap(0,TI,64*K));STEP(t_map(3,A_BASE,64*K,TI));STEP(t_map(3,A_BASE,64*K,TI+64*K));STEP(t_unmap(0,TI+60*K,8*K));STEP(t_unmap(0,TI,68*K));STEP(t_dirty(1));STEP(t_dirty(2));STEP(t_get(TI,64*K,PG,8,BM_BASE));SIZE(-4);STEP(t_dirty(1));STEP(t_unmapd(TI,64*K,PG,8,BM_BASE));STEP(t_info(cfd,4096));}
D(t1_nesting){t1_up(&dA,6);STEP(t_info(cfd,4096));STEP(t_map(3,A_BASE,PG,TI));STEP(t_dirty(1));}
D(t1_dirty_args){
	t1_up(&dA,3);STEP(t_map(3,A_BASE,64*K,TI));
	note("before START");STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_unmapd(TI,64*K,PG,8,BM_BASE));STEP(t_dirty(2));STEP(t_dirty(2));
	STEP(t_dirty(3));STEP(t_dirty(5));STEP(t_dirty(6));STEP(t_dirty(7));STEP(t_dirty(0));STEP(t_dirty(8));STEP(t_dirty(9));SIZE(-4);STEP(t_dirty(1));SIZET(64);STEP(t_dirty(1));STEP(t_dirty(1));ARGNULL();STEP(t_dirty(1));ARGRO();STEP(t_dirty(1));
	note("GET without the tail");STEP(t_dirty(4));SIZE(8);STEP(t_dirty(4));
	note("on: good");STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_get(TI,64*K,PG,8,BM_BASE));FILL(0x00);STEP(t_get(TI,64*K,PG,8,BM_BASE+8));STEP(t_get(TI,64*K,PG,8,BM_BASE+1));STEP(t_get(TI,64*K,PG,16,BM_BASE));STEP(t_get(TI,64*K,PG,4096,BM_BASE));
	note("sub-ranges and super-ranges");STEP(t_get(TI,32*K,PG,8,BM_BASE));STEP(t_get(TI+32*K,32*K,PG,8,BM_BASE));STEP(t_get(TI+4*K,4*K,PG,8,BM_BASE));STEP(t_get(TI-4*K,8*K,PG,8,BM_BASE));STEP(t_get(TI-4*K,68*K,PG,8,BM_BASE));STEP(t_get(TI-4*K,72*K,PG,8,BM_BASE));STEP(t_get(TI-64*K,256*K,PG,8,BM_BASE));STEP(t_get(TI-512*K,M,PG,32,BM_BASE));STEP(t_get(8*TI,64*K,PG,8,BM_BASE));FILL(0xff);STEP(t_get(8*TI,64*K,PG,8,BM_BASE));STEP(t_get(0,4*M,PG,128,BM_BASE));
	note("page size");STEP(t_get(TI,64*K,0,8,BM_BASE));STEP(t_get(TI,64*K,1,8192,BM_BASE));STEP(t_get(TI,64*K,2048,8,BM_BASE));STEP(t_get(TI,64*K,8192,8,BM_BASE));STEP(t_get(TI,64*K,64*K,8,BM_BASE));STEP(t_get(TI,64*K,2*M,8,BM_BASE));STEP(t_get(TI,64*K,3000,8192,BM_BASE));STEP(t_get(TI,64*K,12288,8,BM_BASE));
	note("bitmap size");STEP(t_get(TI,64*K,PG,0,BM_BASE));STEP(t_get(TI,64*K,PG,1,BM_BASE));STEP(t_get(TI,64*K,PG,2,BM_BASE));STEP(t_get(TI,64*K,PG,7,BM_BASE));STEP(t_get(TI,64*K,PG,256*M,BM_BASE));STEP(t_get(TI,64*K,PG,256*M+8,BM_BASE));STEP(t_get(TI,64*K,PG,U64MAX,BM_BASE));
	note("bitmap pointer");STEP(t_get(TI,64*K,PG,8,0));STEP(t_get(TI,64*K,PG,8,BMRO_BASE));STEP(t_get(TI,64*K,PG,8,HOLE_BASE));STEP(t_get(TI,64*K,PG,8,1ULL<<63));STEP(t_get(TI,64*K,PG,8,U64MAX-PG+1));
	note("range");STEP(t_get(TI,0,PG,8,BM_BASE));STEP(t_get(TI+1,64*K,PG,8,BM_BASE));STEP(t_get(TI+2048,64*K,PG,8,BM_BASE));STEP(t_get(TI,64*K+1,PG,8,BM_BASE));STEP(t_get(TI,2048,PG,8,BM_BASE));STEP(t_get(U64MAX-PG+1,PG,PG,8,BM_BASE));STEP(t_get(U64MAX-PG+1,2*PG,PG,8,BM_BASE));STEP(t_get(TI,U64MAX-TI,PG,8,BM_BASE));STEP(t_get(TI,U64MAX,PG,8,BM_BASE));
	SIZE(-1);STEP(t_get(TI,64*K,PG,8,BM_BASE));SIZE(-8);STEP(t_get(TI,64*K,PG,8,BM_BASE));SIZE(8);STEP(t_get(TI,64*K,PG,8,BM_BASE));SIZET(8);STEP(t_get(TI,64*K,PG,8,BM_BASE));SIZE(1000);STEP(t_get(TI,64*K,PG,8,BM_BASE));
	note("mapped while on");STEP(t_map(3,A_BASE,16*K,2*TI));STEP(t_get(2*TI,16*K,PG,8,BM_BASE));STEP(t_map(1,A_BASE,16*K,3*TI));note("read-only mapping is reported dirty as well");STEP(t_get(3*TI,16*K,PG,8,BM_BASE));
	note("off");STEP(t_dirty(2));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_dirty(1));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_dirty(2));}
D(t1_dirty_multi){
	t1_up(&dA,3);STEP(t_dirty(1));
	note("two adjacent mappings, gap, third; prefilled bitmaps show what is written");
	STEP(t_map(3,A_BASE,20*K,TI));STEP(t_map(3,A_BASE,12*K,TI+20*K));STEP(t_map(3,A_BASE,16*K,TI+256*K+8*K));
	STEP(t_get(TI,32*K,PG,8,BM_BASE));STEP(t_get(TI,20*K,PG,8,BM_BASE));STEP(t_get(TI+20*K,12*K,PG,8,BM_BASE));
	note("stale bits? the same range again, then B alone");STEP(t_get(TI,32*K,PG,8,BM_BASE));STEP(t_get(TI+20*K,12*K,PG,8,BM_BASE));
	STEP(t_get(TI,512*K,PG,16,BM_BASE));FILL(0xff);STEP(t_get(TI,512*K,PG,16,BM_BASE));FILL(0x80);STEP(t_get(TI-8*K,512*K,PG,16,BM_BASE));FILL(0xff);STEP(t_get(TI-8*K,512*K,PG,16,BM_BASE));FILL(0xff);STEP(t_get(TI+256*K,64*K,PG,8,BM_BASE));
	note("cut by the range");STEP(t_get(TI,24*K,PG,8,BM_BASE));STEP(t_get(TI+4*K,28*K,PG,8,BM_BASE));STEP(t_get(TI,264*K+4*K,PG,16,BM_BASE));
	note("UNMAP with bitmap");FILL(0xff);STEP(t_unmapd(TI,512*K,PG,16,BM_BASE));STEP(t_unmapd(TI,512*K,PG,16,BM_BASE));STEP(t_unmap(0,TI,512*K));}
D(t1_dirty_unmap){
	t1_up(&dA,3);STEP(t_dirty(1));
	for(int i=0;i<3;i++)STEP(t_map(3,A_BASE,16*K,TI+i*16*K));
	STEP(t_unmapd(TI,8*K,PG,8,BM_BASE));STEP(t_unmapd(TI,24*K,PG,8,BM_BASE));STEP(t_unmapd(TI,16*K,8192,8,BM_BASE));STEP(t_unmapd(TI,16*K,2048,8,BM_BASE));STEP(t_unmapd(TI,16*K,0,8,BM_BASE));STEP(t_unmapd(TI,16*K,PG,0,BM_BASE));STEP(t_unmapd(TI,16*K,PG,4,BM_BASE));STEP(t_unmapd(TI,0,PG,8,BM_BASE));STEP(t_unmapd(TI+1,16*K,PG,8,BM_BASE));
	SIZE(-24);STEP(t_unmapd(TI,16*K,PG,8,BM_BASE));SIZE(-1);STEP(t_unmapd(TI,16*K,PG,8,BM_BASE));
	note("bad bitmap memory");STEP(t_unmapd(TI,16*K,PG,8,1ULL<<63));STEP(t_unmapd(TI,16*K,PG,8,0));STEP(t_unmapd(TI,16*K,PG,8,BMRO_BASE));STEP(t_get(TI,16*K,PG,8,BM_BASE));
	note("good");STEP(t_unmapd(TI,16*K,PG,8,BM_BASE));STEP(t_unmapd(TI,16*K,PG,8,BM_BASE));FILL(0x80);STEP(t_unmapd(TI,48*K,PG,8,BM_BASE));
	note("plain unmap while tracking");STEP(t_map(3,A_BASE,16*K,TI));STEP(t_unmap(0,TI,16*K));STEP(t_map(3,A_BASE,16*K,TI));STEP(t_get(TI,16*K,PG,8,BM_BASE));STEP(t_unmap(2,0,0));
	note("unmap several, bad bitmap memory in the second word: what is gone?");STEP(t_map(3,A_BASE,256*K,TI));STEP(t_map(3,A_BASE,256*K,TI+256*K));STEP(t_unmapd(TI,512*K,PG,16,BMEND_BASE+4096-8));STEP(t_get(TI,256*K,PG,8,BM_BASE));STEP(t_get(TI+256*K,256*K,PG,8,BM_BASE));STEP(t_unmap(0,TI,256*K));STEP(t_unmap(0,TI+256*K,256*K));
	STEP(t_dirty(2));STEP(t_map(3,A_BASE,16*K,TI));STEP(t_unmapd(TI,16*K,PG,8,BM_BASE));}

D(t1_rlimit){
	t1_up(&dA,3);drop();STEP(t_map(3,A_BASE,M,TI));STEP(t_map(3,A_BASE,64*K,TI));STEP(t_map(3,A_BASE+M,PG,2*TI));note("the same memory again is charged again");STEP(t_map(3,A_BASE,PG,2*TI));STEP(t_unmap(0,TI,64*K));STEP(t_map(3,A_BASE,PG,2*TI));STEP(t_info(cfd,4096));}

/* ================================================================== 5. mtty alone, mtty with edu */
D(mtty_basic){int x=-1;
	STEP(c_open(&cfd,"CONT"));STEP(g_open(&dM));STEP(g_status(&dM));STEP(g_set(&dM,cfd,"CONT"));STEP(g_status(&dM));STEP(set_iommu(cfd,3));STEP(t_info(cfd,4096));for(int i=0;i<12;i++)STEP(ext(cfd,i));STEP(g_devfd(&dM,dM.name,"M",&x));STEP(g_devfd(&dM,"nonexistent","nonexistent",&x));STEP(o_close(&x,"DEVFD"));
	note("no aperture, nothing is pinned");STEP(t_map(3,A_BASE,PG,0xfee00000));STEP(t_map(3,A_BASE,PG,1ULL<<60));STEP(t_map(3,A_BASE,PG,U64MAX-PG+1));STEP(t_map(3,HOLE_BASE,PG,TI));STEP(t_map(3,RO_BASE,PG,2*TI));STEP(t_map(3,A_BASE+A_LEN-PG,64*K,3*TI));STEP(t_map(3,0x800000000000ULL,PG,4*TI));STEP(t_map(3,A_BASE,100,5*TI));STEP(t_map(3,A_BASE,PG,5*TI+2048));STEP(t_map(3,A_BASE,PG,TI));STEP(t_map(0,A_BASE,PG,5*TI));STEP(t_map(3,0,1ULL<<40,1ULL<<41));
	STEP(t_unmap(0,TI,PG));STEP(t_unmap(0,U64MAX-PG+1,PG));STEP(t_unmap(4,2*TI,PG));STEP(t_map(4,A_BASE,PG,2*TI));STEP(t_unmap(2,0,0));STEP(g_unset(&dM));STEP(t_info(cfd,64));}
D(mtty_dirty){int x=-1;
	t1_up(&dM,3);STEP(t_map(3,A_BASE,M,TI));STEP(t_get(TI,M,PG,32,BM_BASE));STEP(t_dirty(1));STEP(t_get(TI,M,PG,32,BM_BASE));
	note("overwritten, not ORed");FILL(0xff);STEP(t_get(TI,M,PG,32,BM_BASE));FILL(0xff);STEP(t_get(TI,M,PG,64,BM_BASE));STEP(g_devfd(&dM,dM.name,"M",&x));STEP(t_get(TI,M,PG,32,BM_BASE));
	STEP(t_map(3,A_BASE,16*K,4*TI+8*K));FILL(0xff);STEP(t_get(4*TI+8*K,16*K,PG,8,BM_BASE));note("range starts 2 pages before the mapping: the first 64-bit word is ORed with the user word, and that leaks");FILL(0xff);STEP(t_get(4*TI,64*K,PG,8,BM_BASE));STEP(t_get(4*TI+8*K,16*K,PG,8,BM_BASE));STEP(t_get(4*TI+8*K,16*K,PG,8,BM_BASE));FILL(0xff);STEP(t_get(4*TI,M,PG,32,BM_BASE));STEP(t_get(4*TI,M,PG,32,BM_BASE));note("STOP/START gives a fresh bitmap");STEP(t_dirty(2));STEP(t_dirty(1));STEP(t_get(4*TI+8*K,16*K,PG,8,BM_BASE));FILL(0x01);STEP(t_get(4*TI,64*K,PG,8,BM_BASE));STEP(t_get(4*TI+8*K,16*K,PG,8,BM_BASE));note("range without mapping: untouched");FILL(0xff);STEP(t_get(8*TI,M,PG,32,BM_BASE));STEP(t_get(TI,512*K,PG,32,BM_BASE));
	FILL(0xff);STEP(t_unmapd(4*TI,64*K,PG,8,BM_BASE));FILL(0xff);STEP(t_unmapd(TI,M,PG,32,BM_BASE));STEP(t_unmapd(TI,M,PG,32,BM_BASE));
	note("huge mapping: bitmap limit (2^31 pages)");STEP(t_map(3,0,8ULL<<40,1ULL<<44));STEP(t_map(3,0,(8ULL<<40)+PG,1ULL<<45));STEP(t_get(1ULL<<44,8ULL<<40,PG,256*M,BM_BASE));STEP(t_unmap(2,0,0));STEP(t_dirty(2));STEP(t_map(3,0,(8ULL<<40)+PG,1ULL<<45));STEP(t_dirty(1));STEP(t_unmap(2,0,0));STEP(t_dirty(1));STEP(t_dirty(2));}
D(mtty_entry_limit){long r=0;int n=0;
	t1_up(&dM,3);note("1-page mappings until the first error");
	struct vfio_iommu_type1_dma_map m={.argsz=sizeof m,.flags=3,.vaddr=A_BASE,.size=PG};
	for(n=0;n<70000;n++){m.iova=TI+n*2*PG;r=ioctl(cfd,VFIO_IOMMU_MAP_DMA,&m);if(r)break;}
	STEP((call("MAP_DMA x N"),res("N=%d",n),errno=r?errno:0,r));STEP(t_info(cfd,4096));STEP(t_map(3,A_BASE,PG,TI));STEP(t_map(3,A_BASE,PG,0));STEP(t_unmap(0,TI,PG));STEP(t_map(3,A_BASE,PG,0));STEP(t_map(3,A_BASE,PG,TI));}
D(mtty_two){
	t1_up(&dM,3);STEP(t_map(3,A_BASE,64*K,TI));STEP(g_open(&dN));STEP(g_set(&dN,cfd,"CONT"));STEP(t_dirty(1));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(g_unset(&dM));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(g_unset(&dN));STEP(t_get(TI,64*K,PG,8,BM_BASE));}
D(mix_mtty_then_edu){int x=-1;
	t1_up(&dM,3);STEP(g_devfd(&dM,dM.name,"M",&x));STEP(t_map(3,A_BASE,64*K,TI));STEP(t_dirty(1));STEP(t_get(TI,64*K,PG,8,BM_BASE));
	STEP(g_open(&dA));STEP(g_set(&dA,cfd,"CONT"));STEP(t_info(cfd,4096));for(int i=4;i<12;i++)STEP(ext(cfd,i));
	note("now everything mapped is dirty");STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_map(3,HOLE_BASE,PG,2*TI));STEP(t_map(3,A_BASE,64*K,3*TI));STEP(t_get(3*TI,64*K,PG,8,BM_BASE));STEP(t_unmap(4,TI,64*K));STEP(t_map(3,A_BASE,PG,0xfee00000));
	note("edu leaves");STEP(g_unset(&dA));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_info(cfd,4096));STEP(t_map(3,A_BASE,PG,0xfee00000));STEP(t_map(3,A_BASE,PG,1ULL<<56));
	note("edu back: a mapping in the MSI window blocks it");STEP(g_set(&dA,cfd,"CONT"));STEP(t_unmap(0,0xfee00000,PG));STEP(g_set(&dA,cfd,"CONT"));STEP(t_unmap(0,1ULL<<56,PG));STEP(g_set(&dA,cfd,"CONT"));
	note("a bad mapping made while mtty was alone blocks edu");STEP(g_unset(&dA));STEP(t_map(3,HOLE_BASE,PG,4*TI));STEP(g_set(&dA,cfd,"CONT"));STEP(g_status(&dA));STEP(t_unmap(0,4*TI,PG));STEP(g_set(&dA,cfd,"CONT"));
	note("mtty leaves");STEP(o_close(&x,"DEVFD_M"));STEP(g_unset(&dM));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_unmapd(TI,64*K,PG,8,BM_BASE));STEP(t_unmap(2,0,0));}
D(mix_edu_then_mtty){
	t1_up(&dA,3);STEP(t_map(3,A_BASE,64*K,TI));STEP(t_dirty(1));STEP(g_open(&dM));STEP(g_set(&dM,cfd,"CONT"));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(ext(cfd,10));STEP(t_info(cfd,4096));
	note("edu leaves while tracking: all mappings are marked dirty once");STEP(g_unset(&dA));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_get(TI,64*K,PG,8,BM_BASE));STEP(t_info(cfd,4096));STEP(t_unmapd(TI,64*K,PG,8,BM_BASE));}

static const struct scen scens[]={
#define E(g,f) {g,#f,f},
	E("iommufd",ioas_alloc_destroy)E("iommufd",ioctl_frame)E("iommufd",ioas_map_args)E("iommufd",ioas_map_overlap)E("iommufd",ioas_map_auto)E("iommufd",ioas_map_user_nodomain)E("iommufd",ioas_copy_)E("iommufd",ioas_unmap_)E("iommufd",iova_ranges_nodev)E("iommufd",option_)E("iommufd",noobj_misc)E("iommufd",close_ctx)E("iommufd",compat_bare)
	E("cdev",cdev_bind)E("cdev",cdev_attach)E("cdev",cdev_two)E("cdev",cdev_map)E("cdev",cdev_dirty_unsupported)E("cdev",cdev_rlimit)E("cdevmdev",cdevm_attach)
#ifdef MOCK_HDR
	E("mock",mock_objects)E("mock",mock_nest)E("mock",mock_map)E("mock",mock_attach_after_map)E("mock",mock_hugepages)E("mock",mock_set_dirty)E("mock",mock_pagesizes)E("mock",mock_ranges)E("mock",mock_bitmap_mem)E("mock",mock_dirty_lifecycle)E("mock",mock_big)E("mock",mock_huge_dirty)E("mock",mock_munmap)E("mock",mock_rlimit)
#endif
	E("type1",t1_container_fresh)E("type1",t1_group_orders)E("type1",t1_close_orders)E("type1",t1_two_groups)E("type1",t1_info)E("type1",t1_map)E("type1",t1_unmap)E("type1",t1_v1_unmap)E("type1",t1_nesting)E("type1",t1_dirty_args)E("type1",t1_dirty_multi)E("type1",t1_dirty_unmap)E("type1",t1_rlimit)
	E("mtty",mtty_basic)E("mtty",mtty_dirty)E("mtty",mtty_two)E("mtty",mtty_entry_limit)E("mix",mix_mtty_then_edu)E("mix",mix_edu_then_mtty)
};

static int run(const struct scen*s){
	fflush(out);pid_t p=fork();
	if(!p){scn=s->n;stepno=0;alarm(20);signal(SIGALRM,SIG_DFL);
		s->f();fflush(out);_exit(stepno>250?250:stepno);}
	int st;waitpid(p,&st,0);
	if(WIFSIGNALED(st)){fprintf(out,"%s\t999\t-\t%s(signal %d)\n",s->n,WTERMSIG(st)==SIGALRM?"HANG ":"CRASH ",WTERMSIG(st));fflush(out);}
	else total+=WEXITSTATUS(st);
	return 0;}
int main(int c,char**v){
	out=stdout;int i=1;unsigned n=sizeof scens/sizeof*scens;
	if(i<c&&!strcmp(v[i],"-l")){for(unsigned k=0;k<n;k++)printf("%s\t%s\n",scens[k].g,scens[k].n);return 0;}
	if(i+1<c&&!strcmp(v[i],"-o")){out=fopen(v[i+1],"w");i+=2;}
	mem_setup();
	vd_setup(&dA,"0000:00:03.0",0);vd_setup(&dB,"0000:00:04.0",0);
	vd_setup(&dM,"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",1);vd_setup(&dN,"83b8f4f2-509f-382f-3c1e-e6bfe0fa1002",1);
	for(;i<c;i++)for(unsigned k=0;k<n;k++)if(!strcmp(v[i],scens[k].g)||!strcmp(v[i],scens[k].n))run(&scens[k]);
	fflush(out);fprintf(stderr,"oracle: %d steps\n",total);return 0;}
